//! `pagingtest`: what an address space promises, tried out by a kernel thread in a space of its own.
//!
//! The checks do what a program would do, on the machine's own page tables, frames and TLB: they add regions, write
//! patterns and read them back, and do what is forbidden. A forbidden access is stopped by the processor, and reported
//! with the class of the fault ([`crate::trap::probe`]); then the test goes on. Each check begins in an empty space.

mod changes;
mod forbidden;
mod maps;
mod refusals;
mod shown;
mod tools;

use alloc::sync::Arc;
use core::fmt;

use abi::Errno;
use mm::addr::UserRange;
use mm::aspace::SpaceRef;
use mm::error::SpaceError;
use mm::space::{FaultError, Space};
use proc::process::Process;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use proc::wait_pid::{Which, wait_for_child};

use crate::device::console;

/// A check: what it shows, and how.
struct Check {
    shows: &'static str,
    run: fn(&Space) -> Result<Passed, Failure>,
}

/// How a check passes.
enum Passed {
    /// All was as it should be.
    Ok,
    /// What it did was forbidden, and stopped as a fault of this class.
    Stopped(FaultError),
}

/// Why a check fails.
enum Failure {
    /// This was to be otherwise.
    Not(&'static str),
    /// An operation was refused.
    Refused(SpaceError),
    /// An access was stopped.
    Stopped(FaultError),
}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Failure {
        Failure::Refused(error)
    }
}

impl From<FaultError> for Failure {
    fn from(error: FaultError) -> Failure {
        Failure::Stopped(error)
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Passed::Ok => f.write_str("ok"),
            Passed::Stopped(class) => write!(f, "ok, stopped: {class}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FAILED: ")?;
        match self {
            Failure::Not(expected) => write!(f, "not so: {expected}"),
            Failure::Refused(error) => write!(f, "refused: {error:?}"),
            Failure::Stopped(class) => write!(f, "stopped: {class}"),
        }
    }
}

/// Runs all checks, in a new process in a new space, waits for them, and checks that they have left nothing behind.
///
/// # Errors
/// Those of starting a process.
pub(crate) fn run(parent: &Arc<Process>) -> Result<(), Errno> {
    let before = frames_in_use();
    let space = KernelSpace::Given(SpaceRef::Paging(Space::new()?));
    let child = spawn_kernel_process("pagingtest", Some(parent), space, run_checks)?;
    wait_for_child(parent, Which::Id(child))?;
    match frames_in_use() {
        after if after == before => say(format_args!("every frame has been given back")),
        after => say(format_args!(
            "FAILED: {before:?} frames were in use, and {after:?} are"
        )),
    }
    Ok(())
}

/// Frames of address spaces: anonymous, of page tables, and of files.
fn frames_in_use() -> [u64; 3] {
    let accounts = crate::accounts::read();
    [
        accounts.anonymous_frames,
        accounts.page_table_frames,
        accounts.file_frames,
    ]
}

/// The thread of the test. Its status is the number of checks that have failed.
fn run_checks() -> i32 {
    let current = proc::sched::current();
    let Some(space) = current.space().paging() else {
        return 1;
    };
    let all = [
        maps::CHECKS,
        refusals::CHECKS,
        changes::CHECKS,
        forbidden::CHECKS,
    ];
    let (mut count, mut failed) = (0, 0);
    for check in all.iter().flat_map(|checks| checks.iter()) {
        count += 1;
        let outcome = empty(space).and_then(|()| (check.run)(space));
        let shows = check.shows;
        match outcome {
            Ok(passed) => say(format_args!("{shows}: {passed}")),
            Err(failure) => {
                failed += 1;
                say(format_args!("{shows}: {failure}"));
            }
        }
    }
    match failed {
        0 => say(format_args!("all {count} checks passed")),
        _ => say(format_args!("{failed} of {count} checks FAILED")),
    }
    failed
}

fn say(text: fmt::Arguments<'_>) {
    console::message(format_args!("pagingtest: {text}\n"));
}

/// Takes out whatever the last check has left.
fn empty(space: &Space) -> Result<(), Failure> {
    // Pinned regions go only when they are pinned no more.
    for region in space.list_regions().map_err(SpaceError::from)? {
        space.set_pinned(region.range, false)?;
    }
    Ok(space.remove(UserRange::all())?)
}
