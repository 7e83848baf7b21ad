//! A writer: stores all the time, and judges what comes of it.
//!
//! A store that faults is tried again when the handler returns, and faults again, until it succeeds. Each of these is a
//! try of its own. A try is judged if it has begun and ended in one phase: then it was certain how it had to end.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use ulib::process;
use ulib::signal::FaultKind;

use crate::arena::{fail, is_over, may_be_late, owner, phase, word};
use crate::phase::{Change, Phase};

/// How often each writer tries in each phase.
pub(crate) const TRIES: u64 = 5;

/// A thread that stores, alone with its cache lines. Its words are changed by itself only, in its loop or in the
/// handler.
#[repr(align(128))]
pub(crate) struct Writer {
    /// Its thread.
    tid: AtomicU64,
    /// The bits of the phase in which the last try began.
    tried: AtomicU64,
    /// How many tries have begun in that phase.
    count: AtomicU64,
    /// The stamp of the last try that ended as it had to.
    judged: AtomicU64,
    stores: AtomicU64,
    faults: AtomicU64,
    late: AtomicU64,
}

// Relaxed throughout, but for `judged`: nobody else looks, or only when the thread has ended.
impl Writer {
    pub(crate) const fn new() -> Writer {
        Writer {
            tid: AtomicU64::new(0),
            tried: AtomicU64::new(0),
            count: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            stores: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    /// Stores into the word `number`, until it is over.
    pub(crate) fn run(&self, number: usize) {
        self.tid.store(process::gettid() as u64, Ordering::Relaxed);
        let word = word(number);
        while !is_over() {
            let stamp = self.begin_try();
            // The handler, and the end, see that this try has begun, and the try is over before the phase is read
            // again.
            fence(Ordering::SeqCst);
            // SAFETY: the word is this writer's. If the page is not there, the store faults, and the handler waits for
            // it.
            unsafe { word.write_volatile(stamp) };
            fence(Ordering::SeqCst);
            self.end_store(stamp);
        }
    }

    /// The stamp of the last try that ended as it had to.
    pub(crate) fn judged(&self) -> u64 {
        // Acquire pairs with the Release in `set_judged`: who sees the stamp finds the store.
        self.judged.load(Ordering::Acquire)
    }

    fn set_judged(&self, stamp: u64) {
        self.judged.store(stamp, Ordering::Release);
    }

    /// Stores, faults, and stores that were late. The thread has ended.
    pub(crate) fn counts(&self) -> [u64; 3] {
        [&self.stores, &self.faults, &self.late].map(|count| count.load(Ordering::Relaxed))
    }

    /// A try begins. Returns its stamp.
    fn begin_try(&self) -> u64 {
        let phase = phase();
        let count = match self.tried() == phase {
            true => self.count.load(Ordering::Relaxed) + 1,
            false => 1,
        };
        self.tried.store(phase.bits(), Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        if count.is_multiple_of(4 * TRIES) {
            // On the only CPU the changer comes next.
            process::yield_now();
        }
        self.stamp()
    }

    fn tried(&self) -> Phase {
        Phase::from_bits(self.tried.load(Ordering::Relaxed))
    }

    fn stamp(&self) -> u64 {
        self.tried().stamp(self.count.load(Ordering::Relaxed))
    }

    /// The phase, if it has been the same since the last try began, and how that had to end, if that is certain.
    fn verdict(&self) -> Option<(Phase, bool)> {
        let phase = self.tried();
        let must_succeed = phase.must_succeed()?;
        (crate::arena::phase() == phase).then_some((phase, must_succeed))
    }

    /// The last try has succeeded. What has been stored is `stamp`: that of an earlier try if that one has faulted.
    fn end_store(&self, stamp: u64) {
        self.stores.fetch_add(1, Ordering::Relaxed);
        match self.verdict() {
            Some((_, true)) if stamp == self.stamp() => self.set_judged(stamp),
            Some((phase, false)) if may_be_late(phase) => {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
            Some((phase, false)) => fail(format_args!(
                "CPU {} has written to the page after it was {}",
                process::getcpu(),
                phase.change()
            )),
            _ => {}
        }
    }

    /// The last try has faulted.
    fn end_fault(&self, kind: Option<FaultKind>) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        match self.verdict() {
            Some((phase, false)) => {
                if kind != Some(expected_kind(phase.change())) {
                    fail(format_args!(
                        "the page was {}, and a store was refused for another reason: {kind:?}",
                        phase.change()
                    ));
                }
                self.set_judged(self.stamp());
            }
            Some((_, true)) => fail(format_args!(
                "CPU {} could not write to the page although nothing forbids it",
                process::getcpu()
            )),
            None => {}
        }
    }
}

/// What a store is told after `change`.
fn expected_kind(change: Change) -> FaultKind {
    match change {
        Change::Unmap => FaultKind::MissingPage,
        Change::Protect | Change::Move => FaultKind::Permission,
    }
}

/// The handler for faults. When it returns, the store is tried again.
pub(crate) extern "C" fn on_fault(_: i32, address: usize, kind: usize) {
    let is_own = |writer: &&Writer| writer.tid.load(Ordering::Relaxed) == process::gettid() as u64;
    match owner(address).filter(is_own) {
        Some(writer) => {
            writer.end_fault(FaultKind::from_number(kind));
            writer.begin_try();
        }
        None => fail(format_args!(
            "a fault at {address:#x}, which is no store of a writer"
        )),
    }
}
