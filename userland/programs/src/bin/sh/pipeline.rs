//! Starting the programs of a command, connected by pipes.
//!
//! A program gets its starter's descriptors 0, 1 and 2 and no others. So the shell makes a pipe's end its own standard
//! input or output while it starts a program, and then puts back what it had. The lowest free number is taken first:
//! what is opened right after 0 or 1 was closed gets that number.

use alloc::vec::Vec;

use abi::{STDIN, STDOUT};
use ulib::file::{self, File};
use ulib::{Errno, ExitStatus, Pid, println, process};

use crate::command::{Command, Words};
use crate::{NOT_STARTED, foreground};

/// A program of a command: its name, and its id if it could be started.
struct Started<'a> {
    name: &'a str,
    id: Option<Pid>,
}

/// Runs a command in the foreground. Says how each program has ended, if not with 0, and returns how the last has.
pub(crate) fn run(command: &Command) -> ExitStatus {
    let mut status = NOT_STARTED;
    for Started { name, id } in start(command, None, foreground::add) {
        status = match id.map(foreground::wait_for) {
            None => NOT_STARTED,
            Some(Ok(status)) => {
                if status != ExitStatus::exited(0) {
                    println!("{name}: {status}");
                }
                status
            }
            Some(Err(errno)) => panic!("cannot wait for {name}: {errno}"),
        };
    }
    status
}

/// Starts a command that the shell does not wait for. What the keyboard types is not for it: its standard input is
/// empty. Returns the ids of its programs.
pub(crate) fn start_as_job(command: &Command) -> Vec<Pid> {
    // A pipe without a writer.
    let empty = file::pipe().map(|(reader, _writer)| reader);
    match empty {
        Ok(empty) => start(command, Some(empty), |_| {})
            .iter()
            .filter_map(|started| started.id)
            .collect(),
        Err(errno) => {
            println!("sh: no standard input for {}: {errno}", command.text);
            Vec::new()
        }
    }
}

/// Starts the programs of a command, of which the first reads from `input`, and calls `started` with the id of each.
fn start<'a>(
    command: &'a Command,
    mut input: Option<File>,
    started: impl Fn(Pid),
) -> Vec<Started<'a>> {
    let mut programs = Vec::new();
    let mut rest = command.programs.iter().peekable();
    while let Some(words) = rest.next() {
        let pipe = rest.peek().map(|_| file::pipe()).transpose();
        let outcome = pipe.and_then(|pipe| {
            let (reader, writer) = pipe.unzip();
            // The shell's own ends go when the program has them: it is who closes them last that ends a pipe.
            let outcome = start_program(words, input.as_ref(), writer.as_ref());
            input = reader;
            outcome
        });
        let name = words.first().map_or("", |name| name.as_str());
        if let Err(errno) = outcome {
            println!("{name}: {errno}");
        }
        let id = outcome.ok();
        if let Some(id) = id {
            started(id);
        }
        programs.push(Started { name, id });
    }
    programs
}

fn start_program(words: &Words, input: Option<&File>, output: Option<&File>) -> Result<Pid, Errno> {
    let (name, arguments) = words.split_first().ok_or(Errno::ENOENT)?;
    let _input = input
        .map(|file| Redirection::new(STDIN, file))
        .transpose()?;
    let _output = output
        .map(|file| Redirection::new(STDOUT, file))
        .transpose()?;
    process::spawn_words(name, arguments)
}

/// A descriptor of the shell that is another file until this is dropped.
struct Redirection {
    fd: i32,
    before: File,
}

impl Redirection {
    fn new(fd: i32, file: &File) -> Result<Redirection, Errno> {
        // From here on, dropping it puts back what there was.
        let redirection = Redirection {
            fd,
            before: file::duplicate(fd)?,
        };
        replace(fd, file)?;
        Ok(redirection)
    }
}

impl Drop for Redirection {
    fn drop(&mut self) {
        if let Err(errno) = replace(self.fd, &self.before) {
            panic!("descriptor {} is lost: {errno}", self.fd);
        }
    }
}

/// Makes `fd` another name for `file`. The lower descriptors are all open.
fn replace(fd: i32, file: &File) -> Result<(), Errno> {
    // It may be closed already, by an attempt that went wrong.
    let _ = file::close(fd);
    let number = file.duplicate()?.into_descriptor();
    assert_eq!(number, fd, "the lowest free descriptor");
    Ok(())
}
