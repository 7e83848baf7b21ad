//! What the shell does itself. Everything else is a program.

use alloc::string::String;
use core::ops::ControlFlow;

use ulib::{ExitStatus, Pid, Signal, println, process};

use crate::command::{Command, Words};
use crate::{Shell, WRONG_USE};

/// Gets its words, the command's name among them. It breaks with the shell's status.
type OwnCommand = fn(&mut Shell, &Words) -> ControlFlow<ExitStatus>;

const GO_ON: ControlFlow<ExitStatus> = ControlFlow::Continue(());

/// The function for `command` and its words, if it is one of the shell's own: alone, and in the foreground.
pub(crate) fn find(command: &Command) -> Option<(OwnCommand, &Words)> {
    let [words] = command.programs.as_slice() else {
        return None;
    };
    let own: OwnCommand = match words.first()?.as_str() {
        _ if command.in_background => return None,
        "help" => help,
        "jobs" => jobs,
        "kill" => kill,
        "exit" => exit,
        _ => return None,
    };
    Some((own, words))
}

fn help(_: &mut Shell, _: &Words) -> ControlFlow<ExitStatus> {
    println!(
        "PROGRAM [ARG...]    runs a program and waits for it; Ctrl-C interrupts it. `ls` lists them"
    );
    println!("A | B               B reads what A writes");
    println!(
        "A &                 runs A as a job: the shell goes on, and tells later how it has ended"
    );
    println!("A ; B               A, then B");
    println!("jobs                the jobs that run, with the ids of their processes");
    println!("kill PID [SIGNAL]   sends a signal, by number or name; SIGTERM if none is named");
    println!("exit [STATUS]       leaves the shell; so does Ctrl-D");
    println!("help                this list");
    println!("Arrow keys move in the line and bring back earlier ones; Ctrl-U takes it back.");
    GO_ON
}

fn jobs(shell: &mut Shell, _: &Words) -> ControlFlow<ExitStatus> {
    shell.jobs.list();
    GO_ON
}

fn kill(shell: &mut Shell, words: &Words) -> ControlFlow<ExitStatus> {
    let operands = match words.as_slice() {
        [_, pid] => pid.parse::<Pid>().ok().zip(Some(Signal::SIGTERM)),
        [_, pid, signal] => pid.parse::<Pid>().ok().zip(parse_signal(signal)),
        _ => None,
    };
    let Some((pid, signal)) = operands else {
        println!("usage: kill PID [SIGNAL]");
        shell.status = WRONG_USE;
        return GO_ON;
    };
    if let Err(errno) = process::kill(pid, signal) {
        println!("kill: {pid}: {errno}");
        shell.status = ExitStatus::exited(1);
    }
    GO_ON
}

/// A signal by its number or its name, with or without `SIG`.
fn parse_signal(word: &str) -> Option<Signal> {
    if let Ok(number) = word.parse() {
        return Signal::from_number(number);
    }
    let name: String = word.chars().map(|c| c.to_ascii_uppercase()).collect();
    (1..=Signal::MAX)
        .filter_map(Signal::from_number)
        .find(|signal| {
            signal.name() == name || signal.name().strip_prefix("SIG") == Some(name.as_str())
        })
}

fn exit(shell: &mut Shell, words: &Words) -> ControlFlow<ExitStatus> {
    let status = match words.as_slice() {
        [_] => Some(shell.status),
        [_, status] => status.parse().ok().map(ExitStatus::exited),
        _ => None,
    };
    match status {
        Some(status) => ControlFlow::Break(status),
        None => {
            println!("usage: exit [STATUS]");
            shell.status = WRONG_USE;
            GO_ON
        }
    }
}
