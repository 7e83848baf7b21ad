//! The user shell: runs programs in the foreground or as jobs, alone or connected by pipes.
//!
//! `sh` reads commands from its standard input until `exit` or the input's end; `sh -c LINE` runs one line. Either
//! exits with the status of the last program. `urun` in the kernel shell starts it, and `./run-smp.sh sh` boots into
//! it.
//!
//! A line is programs with arguments (quotes and backslashes as everywhere, see `abi::arguments`), with `|` between
//! those whose output is the next one's input. `;` separates commands, `&` leaves one to itself as a job. Ctrl-C is
//! passed on to what is in the foreground.
#![no_std]
#![no_main]

extern crate alloc;

mod command;
mod foreground;
mod input;
mod jobs;
mod own_commands;
mod pipeline;

use core::ops::ControlFlow;

use ulib::{Arguments, Errno, ExitStatus, print, println};

use self::command::Command;
use self::input::{Input, Line};
use self::jobs::Jobs;

ulib::program!(main);

/// The status of a program that could not be started.
const NOT_STARTED: ExitStatus = ExitStatus::exited(127);
/// That of a line that makes no sense.
const WRONG_USE: ExitStatus = ExitStatus::exited(2);

/// What a shell remembers from line to line.
struct Shell {
    jobs: Jobs,
    /// How the last program has ended.
    status: ExitStatus,
}

fn main(arguments: Arguments) -> i32 {
    match start(arguments) {
        Ok(status) => status.shell_code().into(),
        Err(errno) => panic!("the standard input: {errno}"),
    }
}

fn start(arguments: Arguments) -> Result<ExitStatus, Errno> {
    foreground::catch_interrupts()?;
    let mut shell = Shell {
        jobs: Jobs::default(),
        status: ExitStatus::exited(0),
    };
    Ok(match (arguments.get(1), arguments.get(2)) {
        (None, _) => shell.run()?,
        (Some("-c"), Some(line)) => match shell.execute(line) {
            ControlFlow::Break(status) => status,
            ControlFlow::Continue(()) => shell.status,
        },
        _ => {
            ulib::eprintln!("usage: sh [-c LINE]");
            WRONG_USE
        }
    })
}

impl Shell {
    /// Reads and executes lines.
    fn run(&mut self) -> Result<ExitStatus, Errno> {
        let mut input = Input::default();
        loop {
            foreground::begin();
            self.jobs.tell_ended();
            print!("sh> ");
            let line = match input.read_line()? {
                Line::Whole(line) => line,
                Line::Interrupted => continue,
                Line::End => {
                    println!();
                    return Ok(self.status);
                }
            };
            if let ControlFlow::Break(status) = self.execute(&line) {
                return Ok(status);
            }
        }
    }

    /// Executes a line. It breaks with the shell's status if the shell shall end.
    fn execute(&mut self, line: &str) -> ControlFlow<ExitStatus> {
        let commands = match command::parse(line) {
            Ok(commands) => commands,
            Err(error) => {
                println!("sh: {error}");
                self.status = WRONG_USE;
                return ControlFlow::Continue(());
            }
        };
        for command in &commands {
            self.execute_command(command)?;
            if foreground::was_interrupted() {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn execute_command(&mut self, command: &Command) -> ControlFlow<ExitStatus> {
        if let Some((own, words)) = own_commands::find(command) {
            return own(self, words);
        }
        if command.in_background {
            let programs = pipeline::start_as_job(command);
            self.jobs.add(command, programs);
        } else {
            self.status = pipeline::run(command);
        }
        ControlFlow::Continue(())
    }
}
