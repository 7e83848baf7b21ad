//! Page faults and forks on every CPU at once, by processes that have no page in common.
//!
//! `faultstorm [ROUNDS]` (400). One process for each CPU, which stays there, maps memory once a round, touches all of
//! it, forks a child that writes to some of it, waits for the child and unmaps. None needs anything that another has:
//! whatever they wait for each other for is the kernel's. With `locks=on` the kernel shell's `locks` shows it.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Arguments, Errno, ExitStatus, Pid, println, process};

ulib::program!(main);

const PAGES: usize = 32;
const WORDS_PER_PAGE: usize = PAGE_SIZE / size_of::<u64>();
/// The child writes to one page in so many.
const STRIDE: usize = 4;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let rounds = arguments.number(1, 400);
    let cpus = process::cpu_count();
    let mut workers: Vec<Pid> = Vec::with_capacity(cpus);
    for cpu in 0..cpus {
        workers.push(process::start(|| {
            process::pin(cpu);
            match (0..rounds).try_for_each(|round| run_round(round as u64)) {
                Ok(()) => 0,
                Err(errno) => panic!("on CPU {cpu}: {errno}"),
            }
        })?);
    }
    for worker in workers {
        let status = process::wait(worker)?;
        assert!(
            status == ExitStatus::exited(0),
            "process {worker}: {status}"
        );
    }
    println!("faultstorm: {cpus} processes, {rounds} rounds of {PAGES} faults and a fork each");
    Ok(())
}

fn run_round(round: u64) -> Result<(), Errno> {
    use core::sync::atomic::Ordering::Relaxed;
    let memory = Mapping::new(&MapRequest::anonymous(PAGES * PAGE_SIZE))?;
    let firsts = || memory.words().iter().step_by(WORDS_PER_PAGE);
    firsts().for_each(|word| word.store(round, Relaxed));
    let child = process::start(|| {
        let written = firsts().step_by(STRIDE);
        written.for_each(|word| word.store(round + 1, Relaxed));
        0
    })?;
    let status = process::wait(child)?;
    assert!(status == ExitStatus::exited(0), "child {child}: {status}");
    assert!(
        firsts().all(|word| word.load(Relaxed) == round),
        "round {round}: the child's stores are seen"
    );
    Ok(())
}
