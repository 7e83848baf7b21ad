//! Forks from every CPU at once.
//!
//! `forkstorm [PROCESSES] [ROUNDS]` (twice as many processes as CPUs, 100 rounds). Each process forks once a round,
//! from its own CPU in the first half of the rounds and from wherever it runs in the second. Parent and child write
//! into the same addresses at the same time: each must see its own values only, and each exit status must arrive. At
//! the end the forks per second and CPU are printed.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use ulib::file::{self, File};
use ulib::{Arguments, CpuMask, Errno, ExitStatus, Pid, accounts, println, process};

ulib::program!(main);

const PATIENCE_MS: u64 = 2000;
const WORDS_PER_PAGE: usize = 512;
const PAGES: usize = 4;
/// Every so many rounds the child forks, too.
const GRANDCHILD_EVERY: usize = 8;

/// What parent and child both write into.
static ARENA: [AtomicU64; PAGES * WORDS_PER_PAGE] =
    [const { AtomicU64::new(0) }; PAGES * WORDS_PER_PAGE];

fn main(arguments: Arguments) -> Result<(), Errno> {
    let cpus = process::cpu_count();
    let processes = arguments.number(1, 2 * cpus).max(1);
    let rounds = arguments.number(2, 100);
    let mut forks_per_cpu = vec![0_u64; cpus];
    let mut workers: Vec<Pid> = Vec::with_capacity(processes);

    drop(file::pipe()?); // makes the table of descriptors as long as it will be
    let before = accounts::now();
    let (reports, report) = file::pipe()?;
    for worker in 0..processes {
        workers.push(process::start(|| {
            run_worker(worker, cpus, rounds, &report)
        })?);
    }
    drop(report);
    read_reports(&reports, &mut forks_per_cpu)?;
    for (number, &worker) in workers.iter().enumerate() {
        let status = process::wait(worker)?;
        assert!(
            status == ExitStatus::exited(0),
            "process {number} (id {worker}): {status}"
        );
    }
    let after = process::sysinfo();
    let duration_ns = after.uptime_ns.saturating_sub(before.uptime_ns).max(1);

    for (cpu, forks) in forks_per_cpu.iter().enumerate() {
        println!(
            "CPU {cpu:3}: {forks:7} forks, {:7} a second",
            forks * 1_000_000_000 / duration_ns
        );
    }
    let total: u64 = forks_per_cpu.iter().sum();
    let expected =
        (processes * rounds) as u64 + (processes * rounds.div_ceil(GRANDCHILD_EVERY)) as u64;
    assert_eq!(total, expected, "a fork was not counted");
    let per_second = total * 1_000_000_000 / duration_ns;
    println!(
        "forkstorm: {processes} processes, {total} forks, {per_second} a second, {} per CPU",
        per_second / cpus as u64
    );
    drop(reports);
    match accounts::check_settled(&before, PATIENCE_MS) {
        Ok(()) => Ok(()),
        Err(difference) => panic!("not everything has come back: {difference}"),
    }
}

/// Adds up what the workers have reported, until the last of them has ended.
fn read_reports(reports: &File, forks_per_cpu: &mut [u64]) -> Result<(), Errno> {
    let mut record = [0; 16];
    while reports.read_full(&mut record)? == record.len() {
        let [cpu, forks] = record.as_chunks::<8>().0 else {
            unreachable!("16 bytes are two words")
        };
        forks_per_cpu[usize::from_ne_bytes(*cpu)] += u64::from_ne_bytes(*forks);
    }
    Ok(())
}

fn run_worker(worker: usize, cpus: usize, rounds: usize, report: &File) -> i32 {
    let mut forks_per_cpu = vec![0_u64; cpus];
    process::pin(worker % cpus);
    for round in 0..rounds {
        if round == rounds / 2 {
            process::set_affinity(0, &CpuMask::ALL).expect("cannot unpin");
        }
        let with_grandchild = round % GRANDCHILD_EVERY == 0;
        forks_per_cpu[process::getcpu()] += 1 + u64::from(with_grandchild);
        if let Err(errno) = run_round(worker, round, with_grandchild) {
            panic!("process {worker}, round {round}: {errno}");
        }
    }
    for (cpu, &forks) in forks_per_cpu
        .iter()
        .enumerate()
        .filter(|(_, forks)| **forks > 0)
    {
        let mut record = [0; 16];
        record[..8].copy_from_slice(&cpu.to_ne_bytes());
        record[8..].copy_from_slice(&forks.to_ne_bytes());
        report.write_all(&record).expect("cannot report");
    }
    0
}

/// One fork: both sides write at the same time, and each looks for the other's values.
fn run_round(worker: usize, round: usize, with_grandchild: bool) -> Result<(), Errno> {
    let value = |generation: u64| ((worker as u64) << 32) | ((round as u64) << 4) | generation;
    let code = ((worker + 3 * round) % 200) as i32;
    fill(value(1));
    let child = process::start(|| {
        expect(value(1));
        fill(value(2));
        if with_grandchild {
            let status = process::start(|| {
                expect(value(2));
                fill(value(3));
                0
            })
            .and_then(process::wait);
            assert_eq!(status, Ok(ExitStatus::exited(0)), "the grandchild");
        }
        expect(value(2));
        code
    })?;
    fill(value(4));
    let status = process::wait(child)?;
    assert!(
        status == ExitStatus::exited(code),
        "child {child} should have exited with {code}: {status}"
    );
    expect(value(4));
    Ok(())
}

/// Every so many words one is used: all pages, but not all of each.
const STRIDE: usize = 61;

fn fill(value: u64) {
    for word in ARENA.iter().step_by(STRIDE) {
        black_box(word).store(value, Ordering::Relaxed);
    }
}

fn expect(value: u64) {
    for (index, word) in ARENA.iter().step_by(STRIDE).enumerate() {
        let found = black_box(word).load(Ordering::Relaxed);
        assert!(
            found == value,
            "word {index} is {found:#x} instead of {value:#x}: memory is not separate"
        );
    }
}
