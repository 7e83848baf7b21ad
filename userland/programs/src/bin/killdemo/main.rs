//! Killing processes in the middle of whatever they do, on all CPUs, again and again; nothing of them is left.
//!
//! `killdemo [ROUNDS [SEED]]` (12 rounds). In each round and on each CPU there is a child for each of [`ACTIVITIES`]:
//! one that spins, one that sleeps, one for each call that can wait, one that forks all the time, one that has ended,
//! and so on. The parent kills them all, in one round before they have begun, in the next when they are in the middle
//! of it: 2 milliseconds later or, with a seed, after a time by chance for each.
//!
//! Who forks may be killed at any point of that, and leaves a grandchild behind or not. It holds its grandchild on a
//! leash, a pipe that ends with it, and then the grandchild ends by itself. All of a round's processes have the writing
//! end of a pipe whose end the parent waits for: then the last of them has gone.
#![no_std]
#![no_main]

extern crate alloc;

mod activities;

use alloc::vec;
use alloc::vec::Vec;

use programs::random::Random;
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, accounts, file, println, process};

use self::activities::{ACTIVITIES, Activity};

ulib::program!(main);

/// How long ended processes may take to be forgotten by `init`.
const PATIENCE_MS: u64 = 5000;
/// How long the parent lets a child be, at most, with a seed.
const PAUSE_MAX_NS: u64 = 30_000;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let rounds = arguments.number(1, 12);
    let mut random = arguments
        .get(2)
        .map(|_| Random::new(arguments.number(2, 0) as u64));
    let cpus = process::cpu_count();
    let entries = process::sysinfo().table_entries;
    // Fills the kernel's pools.
    (0..2).try_for_each(|round| run_round(round, cpus, &mut random))?;
    while process::sysinfo().table_entries > entries {
        process::sleep_ms(1);
    }
    let before = accounts::now();
    for round in 0..rounds {
        run_round(round, cpus, &mut random)?;
    }
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("not everything has come back: {difference}");
    }
    let killed = rounds * cpus * ACTIVITIES.len();
    println!("killdemo: {killed} children killed on {cpus} CPUs, {rounds} rounds; all have gone");
    Ok(())
}

/// Starts a child for each activity and CPU, kills them all, and waits until nobody is left.
fn run_round(round: usize, cpus: usize, random: &mut Option<Random>) -> Result<(), Errno> {
    let (last_gone, alive) = file::pipe()?;
    let (begun, beginning) = file::pipe()?;
    let mut children: Vec<(Pid, &Activity)> = Vec::with_capacity(cpus * ACTIVITIES.len());
    for cpu in 0..cpus {
        for activity in &ACTIVITIES {
            let child = process::start(|| {
                process::pin(cpu);
                let outcome = beginning.write_all(&[0]).and_then(|()| (activity.run)());
                assert!(
                    activity.ends_by_itself && outcome == Ok(()),
                    "a child has ended by itself: {outcome:?}"
                );
                0
            })?;
            children.push((child, activity));
        }
    }
    drop((alive, beginning));
    if !round.is_multiple_of(2) {
        let count = begun.read_full(&mut vec![0; children.len()])?;
        assert_eq!(count, children.len(), "children that have begun");
        // They are about to do it, or do it.
        if random.is_none() {
            process::sleep_ms(2);
        }
    }
    // Others first in each round.
    let count = children.len();
    children.rotate_left(round * 7 % count);
    for &(child, activity) in &children {
        if let Some(random) = random {
            let end_ns = process::clock_ns() + random.below(PAUSE_MAX_NS);
            while process::clock_ns() < end_ns {}
        }
        match process::kill(child, Signal::SIGKILL) {
            Err(Errno::ESRCH) if activity.ends_by_itself => {}
            killed => killed?,
        }
    }
    for (child, activity) in children {
        let status = process::wait(child)?;
        assert!(
            status == ExitStatus::killed(Signal::SIGKILL)
                || activity.ends_by_itself && status == ExitStatus::exited(0),
            "child {child}: {status}"
        );
    }
    let rest = last_gone.read(&mut [0])?;
    assert_eq!(rest, 0, "nobody writes into this pipe");
    Ok(())
}
