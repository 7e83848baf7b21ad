//! `shootdown [ROUNDS] [--late-ms N]`: no CPU uses a translation after the call that has taken it away has returned.
//!
//! Threads on all other CPUs store into one page all the time. The first thread unmaps the page, takes the right to
//! write away, or moves it to another frame, in turn. What a writer does while the call is under way is not judged.
//! From the moment the call has returned, each store must fault, or, after a move, be found in the new frame.
//!
//! Under `break=shootdown` nobody is told, and a writer goes on using what it remembers. Under `shootdown=deferred` it
//! does so after an unmap until its CPU has swept: `--late-ms` says for how long that is no failure.
#![no_std]
#![no_main]

extern crate alloc;

mod arena;
mod phase;
mod writer;

use alloc::vec::Vec;

use ulib::thread::{self, JoinHandle};
use ulib::{Arguments, Errno, SysInfo, println, process};

use crate::arena::{MOST_WRITERS, fail};

ulib::program!(main);

const USUAL_ROUNDS: usize = 100;
const MOST_ROUNDS: usize = 1 << 28;
const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let rounds = match arguments.get(1) {
        None | Some("--late-ms") => USUAL_ROUNDS,
        Some(_) => arguments.number(1, USUAL_ROUNDS),
    };
    let late_ms = arguments.option("--late-ms", 0);
    if !(1..MOST_ROUNDS).contains(&rounds) {
        println!("usage: shootdown [ROUNDS] [--late-ms N]");
        return WRONG_USE;
    }
    match hammer(rounds as u64, late_ms as u64) {
        Ok(()) => 0,
        Err(errno) => fail(format_args!("{errno}")),
    }
}

fn hammer(rounds: u64, late_ms: u64) -> Result<(), Errno> {
    arena::init(late_ms)?;
    // On one CPU the writer takes turns with the one who changes.
    let cpus = process::cpu_count();
    let count = (cpus - 1).clamp(1, MOST_WRITERS);
    let mut writers: Vec<JoinHandle<()>> = Vec::new();
    for number in 0..count {
        writers.push(thread::spawn(move || {
            process::pin((number + 1) % cpus);
            arena::writer(number).run(number);
        })?);
    }
    process::pin(0);
    let (before, start_ns) = (process::sysinfo(), process::clock_ns());
    for round in 0..rounds {
        arena::change(round, count)?;
    }
    let duration_ns = process::clock_ns() - start_ns;
    let after = process::sysinfo();
    arena::end();
    for writer in writers {
        writer.join();
    }
    say_rate(rounds, duration_ns);
    say_counters(&before, &after);
    let [stores, faults, late] = arena::counts(count);
    println!("shootdown: {rounds} rounds with {count} writers: {stores} stores, {faults} faults");
    match late_ms {
        0 => println!("shootdown: none by an old translation"),
        _ => {
            println!("shootdown: {late} by an old translation, at most {late_ms} ms after an unmap")
        }
    }
    Ok(())
}

fn say_rate(rounds: u64, duration_ns: u64) {
    let per_s = rounds as f64 * 1e9 / duration_ns.max(1) as f64;
    println!("shootdown: {per_s:.0} rounds a second");
}

/// What the kernel has counted on all CPUs meanwhile.
fn say_counters(before: &SysInfo, after: &SysInfo) {
    println!(
        "shootdown: the kernel has sent {} requests to {} CPUs, and {} changes needed none",
        after.shootdowns_sent - before.shootdowns_sent,
        after.shootdown_targets - before.shootdown_targets,
        after.shootdowns_avoided - before.shootdowns_avoided,
    );
}
