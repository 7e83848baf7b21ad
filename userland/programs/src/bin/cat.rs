//! Copies files, or its standard input, to its standard output.
//!
//! `cat [FILE...]`. Exits with 1 if one could not be read or written.
#![no_std]
#![no_main]

use abi::{OpenFlags, STDIN, STDOUT};
use ulib::file::{self, File};
use ulib::{Arguments, Errno};

ulib::program!(main);

const PIECE_BYTES: usize = 4096;

fn main(arguments: Arguments) -> i32 {
    if arguments.len() < 2 {
        return tell("standard input", copy(STDIN));
    }
    let outcomes = arguments.operands().map(|path| {
        let copied = File::open(path, OpenFlags::READ).and_then(|file| copy(file.descriptor()));
        tell(path, copied)
    });
    outcomes.fold(0, i32::max)
}

/// Copies all that can be read from `fd`.
fn copy(fd: i32) -> Result<(), Errno> {
    let mut piece = [0; PIECE_BYTES];
    loop {
        let len = file::read(fd, &mut piece)?;
        let Some(read @ [_, ..]) = piece.get(..len) else {
            return Ok(());
        };
        file::write_all(STDOUT, read)?;
    }
}

/// Says what went wrong, and returns the exit code that stands for it.
fn tell(what: &str, outcome: Result<(), Errno>) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(errno) => {
            ulib::eprintln!("cat: {what}: {errno}");
            1
        }
    }
}
