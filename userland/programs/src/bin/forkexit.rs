//! Forks, exits and waits many times, and checks that the kernel has got everything back.
//!
//! `forkexit [--rounds N]` (1000). Free frames, entries of the process table and bytes of the kernel's heap must be
//! exactly where they were before.
#![no_std]
#![no_main]

use ulib::{Arguments, CpuMask, Errno, ExitStatus, accounts, println, process};

ulib::program!(main);

/// Rounds on each CPU before the first look at the accounts, so that pools are filled.
const WARM_UP_ROUNDS: usize = 32;
const PATIENCE_MS: u64 = 1000;

fn main(arguments: Arguments) -> Result<(), Errno> {
    let rounds = arguments.option("--rounds", 1000);
    for cpu in 0..process::cpu_count() {
        process::pin(cpu);
        run(WARM_UP_ROUNDS)?;
    }
    process::set_affinity(0, &CpuMask::ALL)?;
    let before = accounts::now();
    run(rounds)?;
    let after = process::sysinfo();

    println!("                       before       after");
    for ((account, before), (_, after)) in before.accounts().into_iter().zip(after.accounts()) {
        println!("{account:22} {before:>11} {after:>11}");
    }
    println!(
        "{:22} {:>11} {:>11}",
        "free frames", before.free_frames, after.free_frames
    );
    if let Err(difference) = accounts::check_settled(&before, PATIENCE_MS) {
        panic!("after {rounds} rounds {difference}");
    }
    let rate =
        rounds as u64 * 1_000_000_000 / after.uptime_ns.saturating_sub(before.uptime_ns).max(1);
    println!("{rounds} rounds, {rate} a second; everything is back where it was.");
    Ok(())
}

fn run(rounds: usize) -> Result<(), Errno> {
    for round in 0..rounds {
        let code = (round % 251) as i32;
        let child = process::start(|| code)?;
        let status = process::wait(child)?;
        assert!(
            status == ExitStatus::exited(code),
            "child {child} should have exited with {code}: {status}"
        );
    }
    Ok(())
}
