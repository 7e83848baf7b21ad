//! The page, what is done to it, and what all threads know of that.
//!
//! It is all in statics, since the handler for faults has to find it.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map, move_frames, protect, unmap};
use ulib::{Errno, Protection, Signal, println, process, signal};

use crate::phase::{Change, Phase, Step};
use crate::writer::{TRIES, Writer, on_fault};

/// The page has a word for each.
pub(crate) const MOST_WRITERS: usize = PAGE_SIZE / size_of::<u64>();
const FAILED: i32 = 1;
/// How long a writer may take for its tries.
const PATIENCE_NS: u64 = 30_000_000_000;
const RIGHTS: Protection = Protection::READ.union(Protection::WRITE);

/// The address of the page. Set once, before there are writers.
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// The bits of a [`Phase`].
static PHASE: AtomicU64 = AtomicU64::new(0);
/// Until when a store may be late, if the change is an unmap.
static LATE_UNTIL_NS: AtomicU64 = AtomicU64::new(0);
static LATE_NS: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);
static WRITERS: [Writer; MOST_WRITERS] = [const { Writer::new() }; MOST_WRITERS];

/// Maps the page, where the kernel likes. A store may be late for `late_ms` after an unmap.
///
/// # Errors
/// Those of the system calls `map` and `sigaction`.
pub(crate) fn init(late_ms: u64) -> Result<(), Errno> {
    // Relaxed: there is one thread so far.
    PAGE.store(map(&MapRequest::anonymous(PAGE_SIZE))?, Ordering::Relaxed);
    PHASE.store(Phase::new(0, Step::Undoing).bits(), Ordering::Relaxed);
    LATE_NS.store(late_ms.saturating_mul(1_000_000), Ordering::Relaxed);
    signal::handle(Signal::SIGSEGV, Some(on_fault))
}

/// The word of a writer.
pub(crate) fn word(number: usize) -> *mut u64 {
    // Relaxed: see `PAGE`.
    let address = PAGE.load(Ordering::Relaxed) + number * size_of::<u64>();
    core::ptr::with_exposed_provenance_mut(address)
}

/// Whose word is at `address`.
pub(crate) fn owner(address: usize) -> Option<&'static Writer> {
    let offset = address.checked_sub(PAGE.load(Ordering::Relaxed))?;
    WRITERS.get(offset / size_of::<u64>())
}

/// The writer with this number.
pub(crate) fn writer(number: usize) -> &'static Writer {
    &WRITERS[number]
}

/// The phase now.
pub(crate) fn phase() -> Phase {
    // Acquire pairs with the Release in `enter`: who sees a phase comes after what the changer did before it.
    Phase::from_bits(PHASE.load(Ordering::Acquire))
}

fn enter(round: u64, step: Step) {
    PHASE.store(Phase::new(round, step).bits(), Ordering::Release);
}

/// Whether a store that should have faulted by now has only come a little late.
pub(crate) fn may_be_late(phase: Phase) -> bool {
    // Relaxed: it was set before the phase was entered that the caller has seen.
    phase.change() == Change::Unmap && process::clock_ns() < LATE_UNTIL_NS.load(Ordering::Relaxed)
}

/// Tells the writers to end. The page can be written.
pub(crate) fn end() {
    // Relaxed: who goes on for a moment does no harm.
    IS_OVER.store(true, Ordering::Relaxed);
}

/// Whether the writers are to end.
pub(crate) fn is_over() -> bool {
    IS_OVER.load(Ordering::Relaxed)
}

/// Says what is wrong, and ends the program; of several threads the first.
pub(crate) fn fail(what: fmt::Arguments<'_>) -> ! {
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);
    // Relaxed: only who was first matters.
    if HAS_FAILED.swap(true, Ordering::Relaxed) {
        loop {
            process::yield_now();
        }
    }
    println!("shootdown: FAILED: {what}");
    process::exit(FAILED)
}

/// Changes the page, looks whether all of the first `count` writers have noticed, and undoes it.
///
/// # Errors
/// Those of the system calls.
pub(crate) fn change(round: u64, count: usize) -> Result<(), Errno> {
    let (page, change) = (PAGE.load(Ordering::Relaxed), Change::of_round(round));
    enter(round, Step::Open);
    wait_for_writers(Phase::new(round, Step::Open), count);
    look_for_stores("new", count);

    enter(round, Step::Changing);
    match change {
        // SAFETY: the writers expect it.
        Change::Unmap => unsafe { unmap(page, PAGE_SIZE)? },
        Change::Protect => protect(page, PAGE_SIZE, Protection::READ)?,
        Change::Move => move_frames(page, PAGE_SIZE)?,
    }
    let late_until_ns = process::clock_ns().saturating_add(LATE_NS.load(Ordering::Relaxed));
    LATE_UNTIL_NS.store(late_until_ns, Ordering::Relaxed);
    enter(round, Step::Changed);
    wait_for_writers(Phase::new(round, Step::Changed), count);
    if change == Change::Move {
        look_for_stores("moved", count);
    }

    enter(round, Step::Undoing);
    match change {
        Change::Unmap => map(&MapRequest::anonymous(PAGE_SIZE).at(page)).map(drop),
        Change::Protect => protect(page, PAGE_SIZE, RIGHTS),
        Change::Move => Ok(()),
    }
}

/// Waits until each writer has tried often enough in `phase`.
fn wait_for_writers(phase: Phase, count: usize) {
    let deadline_ns = process::clock_ns().saturating_add(PATIENCE_NS);
    for (number, writer) in WRITERS.iter().enumerate().take(count) {
        while writer.judged() < phase.stamp(TRIES) {
            if process::clock_ns() > deadline_ns {
                fail(format_args!("writer {number} does not get on"));
            }
            process::yield_now();
        }
    }
}

/// Looks, by this CPU's own translation, whether the stores are there that the writers have seen succeed.
fn look_for_stores(what: &str, count: usize) {
    for (number, writer) in WRITERS.iter().enumerate().take(count) {
        let judged = writer.judged();
        // SAFETY: the page is there and can be read. Its words are written by others, one machine word at a time.
        let found = unsafe { word(number).read_volatile() };
        if found < judged {
            fail(format_args!(
                "a store of writer {number} is not in the {what} page"
            ));
        }
    }
}

/// Stores, faults, and stores that were late, of the first `count` writers.
pub(crate) fn counts(count: usize) -> [u64; 3] {
    let writers = WRITERS.iter().take(count).map(Writer::counts);
    writers.fold([0; 3], |sum, counts| {
        core::array::from_fn(|kind| sum[kind] + counts[kind])
    })
}
