//! Runs tests, each in a process of its own, and judges how they end.

use ulib::file::{self, File};
use ulib::{ExitStatus, Pid, Signal, accounts, println, process};

use crate::files;

/// A test: a function that panics if something is not as it should be.
pub(crate) struct Test {
    /// The function's name, which says what it checks.
    pub(crate) name: &'static str,
    /// What to run.
    pub(crate) run: fn(),
    /// How the process must end.
    pub(crate) end: End,
}

/// How a test's process must end.
#[derive(Copy, Clone)]
pub(crate) enum End {
    /// The function returns.
    Returns,
    /// This signal ends it.
    DiesBy(Signal),
}

/// The tests of a file: `tests![name, other dies_by SIGSEGV]`.
macro_rules! tests {
    ($($name:ident $(dies_by $signal:ident)?),* $(,)?) => {
        pub(crate) const TESTS: &[crate::runner::Test] = &[$(crate::runner::Test {
            name: stringify!($name),
            run: $name,
            end: crate::runner::end!($($signal)?),
        }),*];
    };
}
macro_rules! end {
    () => {
        crate::runner::End::Returns
    };
    ($signal:ident) => {
        crate::runner::End::DiesBy(ulib::Signal::$signal)
    };
}
pub(crate) use {end, tests};

/// How long a test may take, for few and for many CPUs: virtual CPUs outnumber the host's. And for each GiB: a test may
/// take all memory, and a host first finds that when a guest first touches it.
const LIMIT_MS: u64 = 20_000;
const LIMIT_PER_CPU_MS: u64 = 500;
const LIMIT_PER_GIB_MS: u64 = 3000;
const FRAMES_PER_GIB: u64 = 1 << 18;
/// How long what a test has left behind may take to go.
const PATIENCE_MS: u64 = 3000;

/// Runs the tests and prints how each went; returns the program's exit code.
pub(crate) fn run<'a>(tests: impl Iterator<Item = &'a Test>) -> i32 {
    let (mut passed, mut failed) = (0, 0);
    let limit_ms = LIMIT_MS
        + LIMIT_PER_CPU_MS * process::cpu_count() as u64
        + LIMIT_PER_GIB_MS * (process::sysinfo().total_frames / FRAMES_PER_GIB);
    files::make_scratch_files();
    let gate = Gate::new();
    warm_up();
    for test in tests {
        let before = accounts::now();
        let verdict = run_one(test, &gate, limit_ms);
        let duration_ms = (process::clock_ns() - before.uptime_ns) / 1_000_000;
        let verdict = verdict
            .and_then(|()| accounts::check_settled(&before, PATIENCE_MS).map_err(Failure::Left));
        match verdict {
            Ok(()) => {
                passed += 1;
                println!("ok   {} ({duration_ms} ms)", test.name);
            }
            Err(failure) => {
                failed += 1;
                report(test, &failure);
            }
        }
    }
    println!("usertests: {passed} passed, {failed} failed");
    i32::from(failed > 0)
}

/// Why a test has failed.
enum Failure {
    /// It could not be started or waited for.
    Runner(ulib::Errno),
    /// It was still running at its limit.
    TooLong,
    /// It ended like this.
    Ended(ExitStatus),
    /// It left something in the kernel.
    Left(accounts::Difference),
}

fn report(test: &Test, failure: &Failure) {
    let name = test.name;
    match failure {
        Failure::Runner(errno) => println!("FAIL {name}: cannot run it: {errno}"),
        Failure::TooLong => println!("FAIL {name}: took too long"),
        Failure::Ended(status) => match test.end {
            End::Returns => println!("FAIL {name}: {status}"),
            End::DiesBy(signal) => {
                println!("FAIL {name}: {status}, should have been killed by {signal:?}")
            }
        },
        Failure::Left(difference) => println!("FAIL {name}: afterwards {difference}"),
    }
}

/// A pipe by which the watchdog lets the test begin: what it takes for itself is no change of the test's.
struct Gate {
    reader: File,
    writer: File,
}

impl Gate {
    fn new() -> Gate {
        let (reader, writer) = match file::pipe() {
            Ok(ends) => ends,
            Err(errno) => panic!("no pipe for the tests: {errno}"),
        };
        let gate = Gate { reader, writer };
        // The first byte brings the pipe's memory.
        gate.open();
        let _ = gate.reader.read(&mut [0]);
        gate
    }

    fn open(&self) {
        // Should it fail, the test will not begin, and take too long.
        let _ = self.writer.write(&[0]);
    }

    /// Waits, and closes the pipe for this process.
    fn pass(&self) {
        let _ = self.reader.read(&mut [0]);
        for end in [&self.reader, &self.writer] {
            let _ = file::close(end.descriptor());
        }
    }
}

fn run_one(test: &Test, gate: &Gate, limit_ms: u64) -> Result<(), Failure> {
    let child = process::start(|| {
        gate.pass();
        (test.run)();
        0
    })
    .map_err(Failure::Runner)?;
    let watchdog = start_watchdog(child, gate, limit_ms).map_err(Failure::Runner)?;
    let status = process::wait(child).map_err(Failure::Runner)?;
    // It may have ended by itself.
    let _ = process::kill(watchdog, Signal::SIGKILL);
    let barked = process::wait(watchdog).map_err(Failure::Runner)? == ExitStatus::exited(0);
    let expected = match test.end {
        End::Returns => ExitStatus::exited(0),
        End::DiesBy(signal) => ExitStatus::killed(signal),
    };
    match status {
        status if status == expected && !barked => Ok(()),
        _ if barked => Err(Failure::TooLong),
        status => Err(Failure::Ended(status)),
    }
}

/// A process that opens the gate to `child`, and kills it after `limit_ms`.
fn start_watchdog(child: Pid, gate: &Gate, limit_ms: u64) -> Result<Pid, ulib::Errno> {
    process::start(|| {
        gate.open();
        process::sleep_ms(limit_ms);
        // Too late if the child has just ended: then the runner kills this process.
        let _ = process::kill(child, Signal::SIGKILL);
        0
    })
}

/// Fills the kernel's pools with what the first processes and pipes need.
fn warm_up() {
    let cpus = process::cpu_count();
    for round in 0..4 * cpus {
        let child = process::start(|| {
            process::pin(round % cpus);
            drop(file::pipe());
            0
        });
        let _ = child.and_then(process::wait);
    }
    // A program's pages come in when it first runs, and stay with its file.
    let _ = process::spawn("nop").and_then(process::wait);
}
