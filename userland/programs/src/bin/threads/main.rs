//! Threads: several flows of control in one process, on all CPUs.
//!
//! `threads [COUNT]` (as many as CPUs, but two at least). Shows how threads are created and joined, that they see the
//! same memory and how they agree who uses it, that they compute on all CPUs at once, and what each has for itself.
#![no_std]
#![no_main]

extern crate alloc;

mod joining;
mod sharing;
mod sum;
mod tls;

use ulib::{Arguments, Errno, println, process};

ulib::program!(main);

fn main(arguments: Arguments) {
    let cpus = process::cpu_count();
    let count = arguments.number(1, cpus.max(2));
    assert!(count > 0, "at least one thread is needed");
    println!("threads: {count}, CPUs: {cpus}\n");
    joining::show(count);
    sharing::show(count);
    sum::show(count, cpus);
    tls::show();
    println!("All is as it should be.");
}

/// The result, or the end of the program at once: other threads may wait for what has failed, or use what would be
/// dropped.
#[track_caller]
fn ok<T>(result: Result<T, Errno>) -> T {
    match result {
        Ok(value) => value,
        Err(errno) => panic!("failed with {errno:?}"),
    }
}
