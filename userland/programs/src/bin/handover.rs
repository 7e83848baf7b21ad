//! Two processes on two CPUs wake each other in turn: each CPU is idle until the other has interrupted it.
//!
//! `handover [ROUNDS]` (10). A byte goes from one process to the other and back, through two pipes. Prints how long
//! that took, which is a matter of microseconds, unless interrupts get lost (`fail=lost:reschedule`): then it is one
//! of seconds, but no byte is.
#![no_std]
#![no_main]

use ulib::file::{self, File};
use ulib::{Arguments, Errno, ExitStatus, println, process};

ulib::program!(main);

fn main(arguments: Arguments) -> Result<(), Errno> {
    let rounds = arguments.number(1, 10);
    let (from_child, to_parent) = file::pipe()?;
    let (from_parent, to_child) = file::pipe()?;
    process::pin(0);
    let child = process::start(|| {
        process::pin(1 % process::cpu_count());
        i32::from((0..rounds).any(|_| pass(&from_parent, &to_parent).is_err()))
    })?;
    let start_ns = process::clock_ns();
    for _ in 0..rounds {
        to_child.write_all(b"x")?;
        from_child.read(&mut [0])?;
    }
    let status = process::wait(child)?;
    assert_eq!(status, ExitStatus::exited(0), "the child has lost a byte");
    let took_us = (process::clock_ns() - start_ns) / 1000;
    println!("handover: {rounds} rounds in {took_us} us");
    Ok(())
}

fn pass(from: &File, to: &File) -> Result<(), Errno> {
    let mut byte = [0];
    from.read(&mut byte)?;
    to.write_all(&byte)
}
