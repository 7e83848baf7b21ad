//! Random system calls with random arguments, from many threads in many processes, and nothing that they do harms
//! anybody else.
//!
//! - `grind SEED SECONDS [CALLS]`: the storm, until so many calls have been made, at most for that time (`200ms` is one
//!   too). Beside it a process checks that its memory stays as it is, and a program of the kernel that a pattern in the
//!   kernel does; at the end the kernel's accounts must be where they were.
//! - `grind SEED show PROCESS THREAD GENERATION COUNT`: the first calls of one thread of that storm: of the process
//!   that was started as number PROCESS, from 0, the thread in place THREAD (of 4), after so many that had ended there.
//!   A thread's sequence depends on the seed alone; how the sequences mix, the scheduler decides.
//! - `grind SEED registers COUNT`: sets of registers for threads, none of which may give a right.
//!
//! Every call of `abi`'s table is made, a new one without a change here. What is kept from them: signals other than 0
//! to processes that were there before and to the checker; new files, since there is no call that removes one; and
//! mappings of gigabytes that are filled at once.
#![no_std]
#![no_main]

extern crate alloc;

mod checker;
mod code;
mod draw;
mod grinder;
mod place;
mod plan;
mod registers;
mod storm;
mod tally;
mod values;
mod worker;

use programs::random::Random;
use ulib::{Arguments, println};

use self::grinder::{derive, thread_seed};
use self::plan::Plan;

ulib::program!(main);

const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let seed = arguments.number(1, 1) as u64;
    if arguments.get(2) == Some("show") {
        let [process, thread, generation] = [3, 4, 5].map(|at| arguments.number(at, 0) as u64);
        show(seed, process, thread, generation, arguments.number(6, 20));
        return 0;
    }
    let done = match arguments.get(2) {
        Some("registers") => registers::run(seed, arguments.number(3, 10_000) as u64),
        _ if arguments.len() > 4 => {
            ulib::eprintln!("usage: grind SEED SECONDS [CALLS]");
            ulib::eprintln!("       grind SEED show PROCESS THREAD GENERATION COUNT");
            ulib::eprintln!("       grind SEED registers COUNT");
            return WRONG_USE;
        }
        _ => storm::run(
            seed,
            arguments.duration_ns(2, 10),
            arguments.number(3, usize::MAX) as u64,
        ),
    };
    match done {
        Ok(()) => 0,
        Err(errno) => {
            ulib::eprintln!("grind: {errno}");
            1
        }
    }
}

/// Prints the beginning of a sequence. The threads' register sets lie where they lie in the storm.
fn show(seed: u64, process: u64, thread: u64, generation: u64, count: usize) {
    let plan = Plan::new();
    let drawer = worker::drawer(process);
    let mut random = Random::new(thread_seed(seed, process, thread, generation));
    for _ in 0..count {
        println!("{}", drawer.draw(&plan, &mut random));
    }
}
