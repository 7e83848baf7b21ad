//! Receives MESSAGES messages (10) from `pipewriter`, through the pipe that all processes have in common, checks them,
//! and counts its calls.
//!
//! `pipereader [MESSAGES [--alone]]`: `--alone` if there is a `pipewriter` already.
#![no_std]
#![no_main]

use programs::pipe_partners::{MESSAGE_LEN, meet, message, move_message};
use ulib::{Arguments, Errno, common_pipe};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    let meeting = meet(arguments, "pipewriter")?;
    let mut calls = 0;
    for number in 1..=meeting.messages {
        let mut text = [0; MESSAGE_LEN];
        calls += move_message(|received| common_pipe::read(&mut text[received..]))?;
        assert!(text == message(number), "message {number} is a wrong one");
    }
    meeting.end(calls)
}
