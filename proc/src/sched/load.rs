//! How busy each CPU is, for whoever looks from outside. Nothing is counted until somebody asks for it ([`keep`]).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use smp::cpu::CpuId;
use smp::time;

use super::CPUS;
use crate::thread::Id;

static IS_KEPT: AtomicBool = AtomicBool::new(false);

/// Set in the word of a CPU that halts.
const HALTED: u64 = 1 << 63;

/// How long a CPU has halted, in one word, so that others see one moment of it: the time in nanoseconds; while it halts,
/// [`HALTED`] and the moment at which it would have begun had it halted all that time without a break.
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

/// The thread that waits first for the CPU of whoever calls this: on a busy CPU the one that made room for him, perhaps.
pub fn next_here_racy() -> Option<Id> {
    let cpu = smp::cpu::id_racy();
    CPUS.of(cpu).queue.look_at_first(|thread| thread.id())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::HaltedTime;

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
}
