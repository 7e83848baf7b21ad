//! Sends MESSAGES messages (10) to `pipereader`, through the pipe that all processes have in common, and counts its
//! calls.
//!
//! `pipewriter [MESSAGES [--alone]]`: `--alone` if there is a `pipereader` already.
#![no_std]
#![no_main]

use programs::pipe_partners::{meet, message, move_message};
use ulib::{Arguments, Errno, common_pipe};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    let meeting = meet(arguments, "pipereader")?;
    let mut calls = 0;
    for number in 1..=meeting.messages {
        let text = message(number);
        calls += move_message(|sent| common_pipe::write(&text[sent..]))?;
    }
    meeting.end(calls)
}
