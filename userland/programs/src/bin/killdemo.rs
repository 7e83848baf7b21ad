//! Killing processes in the middle of whatever they do, on all CPUs, again and again; nothing of them is left.
//!
//! `killdemo [ROUNDS]` (12). In each round and on each CPU there is a child of each kind: one that spins, one that sleeps, one
//! that reads from an empty pipe, one that writes to a full one, one that waits for a word of memory, and one that forks all
//! the time. The parent kills them all, in one round before they have begun, in the next when they are in the middle of it.
//!
//! Who forks may be killed at any point of that, and leaves a grandchild behind or not. It holds its grandchild on a leash, a
//! pipe that ends with it, and then the grandchild ends by itself. All of a round's processes have the writing end of a pipe
//! whose end the parent waits for: then the last of them has gone.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;

use ulib::file::{self, File};
use ulib::{Arguments, Errno, ExitStatus, Pid, Signal, accounts, futex, println, process};

ulib::program!(main);

/// What a child does until it is killed. It returns only if that goes wrong.
type Activity = fn() -> Result<(), Errno>;

const ACTIVITIES: [Activity; 6] = [
    spin,
    sleep,
    read_an_empty_pipe,
    write_to_a_full_pipe,
    wait_for_a_word,
    fork_all_the_time,
];

/// How long ended processes may take to be forgotten by `init`.
const PATIENCE_MS: u64 = 5000;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let rounds = arguments.number(1, 12);
    let cpus = process::cpu_count();
    let entries = process::sysinfo().table_entries;
    // Fills the kernel's pools.
    (0..2).try_for_each(|round| run_round(round, cpus))?;
    while process::sysinfo().table_entries > entries {
        process::sleep_ms(1);
    }
    let before = accounts::now();
    for round in 0..rounds {
        run_round(round, cpus)?;
    }
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("not everything has come back: {difference}");
    }
    let killed = rounds * cpus * ACTIVITIES.len();
    println!("killdemo: {killed} children killed on {cpus} CPUs, {rounds} rounds; all have gone");
    Ok(())
}

/// Starts a child for each activity and CPU, kills them all, and waits until nobody is left.
fn run_round(round: usize, cpus: usize) -> Result<(), Errno> {
    let (last_gone, alive) = file::pipe()?;
    let (begun, beginning) = file::pipe()?;
    let mut children: Vec<Pid> = Vec::with_capacity(cpus * ACTIVITIES.len());
    for cpu in 0..cpus {
        for activity in ACTIVITIES {
            children.push(process::start(|| {
                process::pin(cpu);
                let outcome = beginning.write_all(&[0]).and_then(|()| activity());
                panic!("a child has ended by itself: {outcome:?}");
            })?);
        }
    }
    drop((alive, beginning));
    if !round.is_multiple_of(2) {
        let count = begun.read_full(&mut vec![0; children.len()])?;
        assert_eq!(count, children.len(), "children that have begun");
        // They are about to do it, or do it.
        process::sleep_ms(2);
    }
    // Others first in each round.
    let count = children.len();
    children.rotate_left(round * 7 % count);
    for &child in &children {
        process::kill(child, Signal::SIGKILL)?;
    }
    for child in children {
        let status = process::wait(child)?;
        assert!(
            status == ExitStatus::killed(Signal::SIGKILL),
            "child {child}: {status}"
        );
    }
    let rest = last_gone.read(&mut [0])?;
    assert_eq!(rest, 0, "nobody writes into this pipe");
    Ok(())
}

fn spin() -> Result<(), Errno> {
    loop {
        core::hint::spin_loop();
    }
}

fn sleep() -> Result<(), Errno> {
    process::sleep_ms(1_000_000);
    Ok(())
}

fn read_an_empty_pipe() -> Result<(), Errno> {
    let (reader, _writer) = file::pipe()?;
    reader.read(&mut [0]).map(drop)
}

fn write_to_a_full_pipe() -> Result<(), Errno> {
    let (_reader, writer) = file::pipe()?;
    loop {
        writer.write_all(&[0; 4096])?;
    }
}

fn wait_for_a_word() -> Result<(), Errno> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    futex::wait(&WORD, 0)
}

fn fork_all_the_time() -> Result<(), Errno> {
    loop {
        let (leash, holder) = file::pipe()?;
        let grandchild = process::start(|| wait_for_end(&leash, &holder))?;
        drop((leash, holder));
        process::wait(grandchild)?;
    }
}

/// A grandchild: ends when nobody holds its leash any more.
fn wait_for_end(leash: &File, holder: &File) -> i32 {
    let ended = file::close(holder.descriptor()).and_then(|()| leash.read(&mut [0]));
    i32::from(ended != Ok(0))
}
