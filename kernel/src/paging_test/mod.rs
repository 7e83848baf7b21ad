//! `pagingtest`: what an address space promises, tried out by a kernel thread in a space of its own.
//!
//! The checks do what a program would do, on the machine's own page tables, frames and TLB: they add regions, write patterns
//! and read them back, and do what is forbidden. A forbidden access is stopped by the processor, and reported with the
//! class of the fault ([`crate::trap::probe`]); then the test goes on. Each check begins in an empty space.

mod changes;
mod forbidden;
mod maps;
mod refusals;

use alloc::sync::Arc;
use core::fmt;

use abi::Errno;
use mm::addr::{self, PAGE_SIZE, PhysAddr, UserRange, VirtAddr};
use mm::aspace::SpaceRef;
use mm::error::SpaceError;
use mm::page_table::PhysicalRange;
use mm::space::{FaultError, Protection, Region, RegionFlags, Space};
use proc::process::Process;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use proc::wait_pid::{Which, wait_for_child};

use crate::device::console;
use crate::trap::probe::{probe_read, probe_write};

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

/// What a kernel thread needs to use a region.
const KERNEL: Protection = Protection::KERNEL;
/// The same, to write it.
const KERNEL_WRITE: Protection = Protection::KERNEL.union(Protection::WRITE);
const EAGER: RegionFlags = RegionFlags::EAGER;
const LAZY: RegionFlags = RegionFlags::empty();

/// The pages that the checks use, from the second GiB of user space on.
fn pages(first: usize, len_pages: usize) -> Result<UserRange, SpaceError> {
    let start = addr::user_start().as_usize() + (1 << 30) + first * PAGE_SIZE;
    UserRange::page_aligned(start, len_pages * PAGE_SIZE)
}

/// Adds anonymous memory.
fn add(
    space: &Space,
    range: UserRange,
    protection: Protection,
    flags: RegionFlags,
) -> Result<(), SpaceError> {
    space.add(Region::anonymous(range, protection, flags))
}

/// Fails with `expected` unless it is so.
fn check(is_so: bool, expected: &'static str) -> Result<(), Failure> {
    is_so.then_some(()).ok_or(Failure::Not(expected))
}

/// The word that belongs at `address` in the pattern number `seed`: no two are the same.
fn pattern(address: VirtAddr, seed: u64) -> u64 {
    address.as_u64() ^ (seed << 32) ^ 0x5a5a
}

/// The addresses that a pattern is written to: the first and the last word of each page, and one in between.
fn places(range: UserRange) -> impl Iterator<Item = VirtAddr> {
    let in_page = [0, PAGE_SIZE as u64 / 2, PAGE_SIZE as u64 - 8];
    range
        .pages()
        .flat_map(move |page| in_page.map(|offset| VirtAddr::new(page.as_u64() + offset)))
}

/// Writes the pattern `seed` to all of `range`.
fn write_pattern(range: UserRange, seed: u64) -> Result<(), Failure> {
    for place in places(range) {
        probe_write(place, pattern(place, seed))?;
    }
    Ok(())
}

/// Checks that `range` holds the pattern `seed`.
fn check_pattern(range: UserRange, seed: u64) -> Result<(), Failure> {
    for place in places(range) {
        let is_there = probe_read(place)? == pattern(place, seed);
        check(is_there, "what was written is read")?;
    }
    Ok(())
}

/// Checks that two ranges of the same length hold the same words.
fn check_equal(left: UserRange, right: UserRange) -> Result<(), Failure> {
    for (left, right) in places(left).zip(places(right)) {
        let is_same = probe_read(left)? == probe_read(right)?;
        check(is_same, "both maps have the same words")?;
    }
    Ok(())
}

/// Checks that all of `range` is zero.
fn check_zero(range: UserRange) -> Result<(), Failure> {
    for place in places(range) {
        check(probe_read(place)? == 0, "the page is zero")?;
    }
    Ok(())
}

/// The physical address of the page at `page`, if it is mapped.
fn frame_at(space: &Space, page: VirtAddr) -> Option<PhysAddr> {
    let mut found = None;
    space.walk(page, &mut |at, entry| {
        found = entry.is_leaf(at.level).then(|| entry.pa());
    });
    found
}

/// Fails unless an access was stopped as a fault of the class `expected`.
fn stopped<T>(access: Result<T, FaultError>, expected: FaultError) -> Result<Passed, Failure> {
    match access {
        Err(class) if class == expected => Ok(Passed::Stopped(class)),
        Err(class) => Err(Failure::Stopped(class)),
        Ok(_) => Err(Failure::Not("the access is stopped")),
    }
}

/// Memory of the kernel's image that is there to be shown by regions.
#[repr(C, align(4096))]
struct Shown(core::cell::UnsafeCell<[u8; Shown::BYTES]>);

// SAFETY: nobody makes a reference to the contents.
unsafe impl Sync for Shown {}

impl Shown {
    const PAGES: usize = 8;
    const BYTES: usize = Shown::PAGES * PAGE_SIZE;
}

static SHOWN: Shown = Shown(core::cell::UnsafeCell::new([0; Shown::BYTES]));

/// That memory, as something to map.
fn shown_memory() -> Result<PhysicalRange, Failure> {
    // The kernel's half is mapped one to one.
    let start = PhysAddr::new(SHOWN.0.get().expose_provenance() as u64);
    // SAFETY: the memory is the kernel image's, so it is never handed out, and nobody uses it as a value of Rust's.
    let range = unsafe { PhysicalRange::new(start, Shown::BYTES as u64) };
    range.ok_or(Failure::Not("the memory is whole pages"))
}
