//! How busy each CPU is, and for whom, for whoever looks from outside. The time is not counted until somebody asks for
//! it ([`keep`]).

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use smp::cpu::CpuId;
use smp::time;

use super::{CPUS, tick};
use crate::thread::Id;

static IS_KEPT: AtomicBool = AtomicBool::new(false);

/// Set in the word of a CPU that halts.
const HALTED: u64 = 1 << 63;

/// How long a CPU has halted, in one word, so that others see one moment of it: the time in nanoseconds; while it
/// halts, [`HALTED`] and the moment at which it would have begun had it halted all that time without a break.
pub(super) struct HaltedTime(AtomicU64);

impl HaltedTime {
    pub(super) const fn new() -> HaltedTime {
        HaltedTime(AtomicU64::new(0))
    }

    /// Calls `halt`, and counts how long it takes. For the CPU whose time this is.
    pub(super) fn during(&self, halt: impl FnOnce()) {
        // Relaxed everywhere: statistics, written by their own CPU only.
        if IS_KEPT.load(Ordering::Relaxed) {
            let before_ns = self.0.load(Ordering::Relaxed);
            self.begin(before_ns, time::now_ns());
            halt();
            self.end(time::now_ns());
        } else {
            halt();
        }
    }

    fn begin(&self, before_ns: u64, now_ns: u64) {
        let begin_ns = now_ns.saturating_sub(before_ns);
        self.0.store(HALTED | begin_ns, Ordering::Relaxed);
    }

    fn end(&self, now_ns: u64) {
        self.0.store(self.until_ns(now_ns), Ordering::Relaxed);
    }

    /// How long the CPU has halted until `now_ns`.
    fn until_ns(&self, now_ns: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            time_ns if time_ns & HALTED == 0 => time_ns,
            begin_ns => now_ns.saturating_sub(begin_ns & !HALTED),
        }
    }
}

/// From now on the time is counted that CPUs halt.
pub fn keep() {
    IS_KEPT.store(true, Ordering::Relaxed);
}

/// How long `cpu` has halted until `now_ns`, since [`keep`] was called.
pub fn halted_ns(cpu: CpuId, now_ns: u64) -> u64 {
    CPUS.of(cpu).halted.until_ns(now_ns)
}

/// Whom the last tick of a CPU found running.
pub(super) struct LastTick {
    thread: AtomicI32,
    at_ns: AtomicU64,
}

impl LastTick {
    pub(super) const fn new() -> LastTick {
        LastTick {
            thread: AtomicI32::new(0),
            at_ns: AtomicU64::new(0),
        }
    }

    /// Notes that `thread` ran at `now_ns`. For the CPU whose tick this is.
    pub(super) fn note(&self, thread: Id, now_ns: u64) {
        // Relaxed: statistics; who looks in between sees an old thread as a new one.
        self.thread.store(thread, Ordering::Relaxed);
        self.at_ns.store(now_ns, Ordering::Relaxed);
    }

    fn thread_since(&self, since_ns: u64) -> Option<Id> {
        let is_late = self.at_ns.load(Ordering::Relaxed) >= since_ns.max(1);
        is_late.then(|| self.thread.load(Ordering::Relaxed))
    }
}

/// The thread that the last tick of `cpu` found running, if that was at `since_ns` or later, or one tick's distance
/// before; it may have ended. There are no ticks while a CPU halts, nor if it runs for less than their distance at a
/// time.
pub fn ticked_thread_since(cpu: CpuId, since_ns: u64) -> Option<Id> {
    let earliest_ns = since_ns.saturating_sub(tick::period_ns());
    CPUS.of(cpu).last_tick.thread_since(earliest_ns)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{HaltedTime, LastTick};

    #[test]
    fn the_time_grows_while_a_cpu_halts_and_stays_while_it_does_not() {
        let time = HaltedTime::new();
        assert_eq!(time.until_ns(100), 0);
        time.begin(0, 100);
        assert_eq!([100, 130].map(|now_ns| time.until_ns(now_ns)), [0, 30]);
        time.end(150);
        assert_eq!(time.until_ns(1000), 50);
        time.begin(50, 1000);
        assert_eq!(time.until_ns(1001), 51);
        // The clocks of two CPUs differ a little.
        assert_eq!(time.until_ns(900), 0);
        time.end(1010);
        assert_eq!(time.until_ns(2000), 60);
    }

    #[test]
    fn a_thread_that_was_found_too_long_ago_does_not_count() {
        let tick = LastTick::new();
        assert_eq!(tick.thread_since(0), None);
        tick.note(7, 100);
        assert_eq!([100, 101].map(|ns| tick.thread_since(ns)), [Some(7), None]);
    }
}
