//! Hundreds of threads that start, join, fork, exit, kill, map, unmap, protect, sleep and wait at random, on all CPUs,
//! and in the end nothing of them is left.
//!
//! `threadstorm [SECONDS] [SEED]` (10 seconds, seed 1; `60ms` is a time too). Twice as many processes as CPUs have up
//! to 24 threads each, every one of which does one thing after the other by chance, but starts nothing while memory is
//! short. Now and then one of the processes is killed and another takes its place. At the end all are killed, and the
//! kernel's accounts must be where they were.
//! The seed decides what is tried; in which order it happens, the scheduler does.
#![no_std]
#![no_main]

extern crate alloc;

mod shared;
mod worker;

use alloc::vec::Vec;

use programs::random::Random;
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, accounts, file, println, process};

use self::shared::{Counter, Shared};

ulib::program!(main);

/// How long what is left of the processes may take to go.
const PATIENCE_MS: u64 = 20_000;
/// How long the supervisor lets them be, at most, before it kills one.
const PAUSE_MAX_MS: u64 = 40;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let duration_ns = arguments.duration_ns(1, 10);
    let mut random = Random::new(arguments.number(2, 1) as u64);

    drop(file::pipe()?); // makes the table of descriptors as long as it will be
    let shared = Shared::new()?;
    shared.touch();
    let mut workers: Vec<Pid> = Vec::with_capacity(2 * process::cpu_count());
    let before = accounts::now();
    for _ in 0..workers.capacity() {
        workers.push(start(&shared, &mut random)?);
    }
    while process::clock_ns() - before.uptime_ns < duration_ns {
        process::sleep_ms(1 + random.below(PAUSE_MAX_MS));
        let chosen = random.below(workers.len() as u64) as usize;
        kill(workers[chosen]);
        shared.count(Counter::Replaced);
        workers[chosen] = start(&shared, &mut random)?;
    }
    shared.stop();
    workers.drain(..).for_each(kill);
    let settled = accounts::check_settled(&before, PATIENCE_MS);
    println!("threadstorm: {shared}");
    if let Err(difference) = settled {
        panic!("not everything has come back: {difference}");
    }
    let wrong = shared.get(Counter::Wrong);
    assert!(wrong == 0, "{wrong} children ended as they should not");
    Ok(())
}

fn start(shared: &Shared, random: &mut Random) -> Result<Pid, Errno> {
    let seed = random.word();
    process::start(|| worker::run(shared, seed))
}

/// Ends a worker, which never ends by itself while the storm lasts.
fn kill(worker: Pid) {
    if let Err(errno) = process::kill(worker, Signal::SIGKILL) {
        panic!("worker {worker} cannot be killed: {errno}");
    }
    let status = process::wait(worker);
    assert!(
        status == Ok(ExitStatus::killed(Signal::SIGKILL)),
        "worker {worker} should have been killed: {status:?}"
    );
}
