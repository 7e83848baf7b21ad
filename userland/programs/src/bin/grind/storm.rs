//! The supervisor: starts processes, kills them, and asks at the end whether anything is left.

use alloc::vec::Vec;

use abi::{Errno, OpenFlags};
use programs::random::Random;
use ulib::file::{self, File};
use ulib::{ExitStatus, Pid, Signal, accounts, mapping, println, process};

use crate::grinder::is_for_now;
use crate::place::{self, COMMON, PLACE_LEN, SCRATCH_FILES};
use crate::plan::Plan;
use crate::tally::{Protected, Tally};
use crate::worker::{self, Storm};
use crate::{checker, derive};

/// How long what is left of the processes may take to go.
const PATIENCE_MS: u64 = 20_000;
/// The supervisor kills one of the processes at one look in so many, by chance. It looks once in a millisecond.
const LOOKS_PER_KILL: u64 = 20;
/// So many processes make calls for each CPU: some are always about to end or to begin.
const PROCESSES_PER_CPU: usize = 4;
/// How often it looks at the kernel's pattern, and ends one in `LOOKS_PER_LIFE` of all who make calls: those whose parents
/// are gone would pile up, and some wait for ever.
const NS_PER_LOOK: u64 = 500_000_000;
const LOOKS_PER_LIFE: u64 = 8;
const NS_PER_SECOND: u64 = 1_000_000_000;
/// The program of the kernel that has a pattern in the kernel's memory.
const KERNEL_PATTERN: &str = "kernelpattern";

/// Runs the storm for this time, or until so many calls have been made.
///
/// # Errors
/// If it cannot be begun.
///
/// # Panics
/// If the kernel has lost, kept, or changed anything.
pub(crate) fn run(seed: u64, duration_ns: u64, calls: u64) -> Result<(), Errno> {
    empty_files()?;
    drop(file::pipe()?); // makes the table of descriptors as long as it will be
    check_kernel();
    let tally = Tally::new()?;
    let plan = Plan::new();
    let mut workers: Vec<Pid> = Vec::with_capacity(PROCESSES_PER_CPU * process::cpu_count());
    let mut protected = Protected::everybody();
    let before = accounts::now();

    let (ready, readying) = file::pipe()?;
    let checker = process::start(|| checker::run(&tally, &readying))?;
    protected.add(checker);
    drop(readying);
    ready.read(&mut [0])?;
    drop(ready);
    place::prepare_common()?;

    let storm = Storm {
        seed,
        plan: &plan,
        protected: &protected,
        tally: &tally,
    };
    let mut random = Random::new(derive(seed, u64::MAX));
    let mut started = 0;
    let mut start = || loop {
        match process::start(|| match worker::run(&storm, started) {
            Err(errno) => errno.number() as i32,
        }) {
            Ok(worker) => {
                started += 1;
                return worker;
            }
            Err(errno) if is_for_now(errno) => process::sleep_ms(1),
            Err(errno) => panic!("no process: {errno}"),
        }
    };
    for _ in 0..workers.capacity() {
        workers.push(start());
    }
    let end_ns = before.uptime_ns.saturating_add(duration_ns);
    let mut next_look_ns = before.uptime_ns + NS_PER_LOOK;
    loop {
        let now_ns = process::clock_ns();
        if now_ns >= end_ns || tally.calls() >= calls {
            break;
        }
        if now_ns >= next_look_ns {
            next_look_ns += NS_PER_LOOK;
            check_kernel();
            let ended = process::try_wait(checker);
            assert!(ended == Ok(None), "the checker has ended: {ended:?}");
            for id in protected.others() {
                if random.below(LOOKS_PER_LIFE) == 0 {
                    // It may not be there, or have ended.
                    let _ = process::kill(id, Signal::SIGKILL);
                }
            }
        }
        process::sleep_ms(1);
        let chosen = random.below(workers.len() as u64 * LOOKS_PER_KILL) as usize;
        for (index, worker) in workers.iter_mut().enumerate() {
            if index == chosen {
                kill(*worker);
                *worker = start();
            } else if process::try_wait(*worker).is_ok_and(|ended| ended.is_some()) {
                *worker = start();
            }
        }
    }
    let duration_ns = process::clock_ns() - before.uptime_ns;
    workers.drain(..).for_each(kill);
    kill_all_others(&protected, before.table_entries + 1);
    tally.end();
    let status = process::wait(checker);
    assert!(
        status == Ok(ExitStatus::exited(0)),
        "the checker: {status:?}"
    );
    check_kernel();
    // SAFETY: only the processes that are gone used it.
    unsafe { mapping::unmap(COMMON, PLACE_LEN)? };
    empty_files()?;
    let settled = accounts::check_settled(&before, PATIENCE_MS);
    println!("{tally}");
    if let Err(difference) = settled {
        panic!("not everything has come back: {difference}");
    }
    println!(
        "grind: seed {seed}: {} calls, {} of {} kinds, by {started} processes in {}.{:03} s; all has come back",
        tally.calls(),
        tally.kinds_of_calls(),
        abi::Sysno::COUNT,
        duration_ns / NS_PER_SECOND,
        duration_ns % NS_PER_SECOND / 1_000_000
    );
    Ok(())
}

/// Makes the files, or cuts them to nothing.
fn empty_files() -> Result<(), Errno> {
    let flags = OpenFlags::READ_WRITE
        .with(OpenFlags::CREATE)
        .with(OpenFlags::TRUNCATE);
    SCRATCH_FILES
        .iter()
        .try_for_each(|name| File::open(name, flags).map(drop))?;
    checker::empty_file()
}

/// Has the kernel look at its pattern.
fn check_kernel() {
    let status = loop {
        match process::spawn(KERNEL_PATTERN) {
            Ok(program) => break process::wait(program),
            Err(errno) if is_for_now(errno) => process::sleep_ms(1),
            Err(errno) => panic!("{KERNEL_PATTERN}: {errno}"),
        }
    };
    assert!(
        status == Ok(ExitStatus::exited(0)),
        "{KERNEL_PATTERN}: {status:?}"
    );
}

/// Ends a process, if one of its own calls has not.
fn kill(worker: Pid) {
    // It may have ended.
    let _ = process::kill(worker, Signal::SIGKILL);
    if let Err(errno) = process::wait(worker) {
        panic!("worker {worker} cannot be waited for: {errno}");
    }
}

/// Ends whatever the calls have left, whoever it belongs to now, until only so many entries of the process table are in
/// use.
fn kill_all_others(protected: &Protected, entries: u64) {
    let end_ns = process::clock_ns() + PATIENCE_MS * 1_000_000;
    while process::sysinfo().table_entries > entries && process::clock_ns() < end_ns {
        for id in protected.others() {
            let _ = process::kill(id, Signal::SIGKILL);
        }
        process::sleep_ms(1);
    }
}
