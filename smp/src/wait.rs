//! Waiting without giving the CPU away: reads first, then PAUSE.
//!
//! With more virtual CPUs than host cores, what a CPU waits for may be done by one that the host does not run. PAUSE
//! lets the emulator run another, but costs more than many reads; so a wait reads `spin_limit` times between two of
//! them. While it waits, a CPU serves its requests (TLB-4: no CPU waits for anything with interrupts off and its
//! own requests unserved). No wait is for ever: past a bound ([`watchdog::bound_ns`]) whoever waits panics, and
//! says for what.

use core::mem;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::hw;
use crate::time;
use crate::watchdog::{self, OwnTime};

static SPIN_LIMIT: AtomicU32 = AtomicU32::new(1000);

/// How often a waiting CPU reads before it pauses.
pub fn spin_limit() -> u32 {
    // Relaxed: a hint.
    SPIN_LIMIT.load(Ordering::Relaxed)
}

/// Sets how often a waiting CPU reads before it pauses: the boot option `spin=`.
pub fn set_spin_limit(reads: u32) {
    // Relaxed: a hint.
    SPIN_LIMIT.store(reads, Ordering::Relaxed);
}

/// Of the time between two looks at the clock no more than this part of the bound counts.
const STEPS_PER_BOUND: u64 = 16;

/// The pace of one wait.
#[derive(Debug)]
pub struct SpinWait {
    reads_left: u32,
    turns: u64,
    /// Whether it has come to a second PAUSE. Before that it does not look at the clock.
    is_long: bool,
    /// As the watchdog counts it, since the second PAUSE was due.
    waited: OwnTime,
    /// When that was.
    long_since_ns: Option<u64>,
    /// When the clock was looked at last.
    looked_ns: u64,
}

impl SpinWait {
    /// A wait that begins.
    #[expect(
        clippy::new_without_default,
        reason = "a wait begins at a time; there is no default one"
    )]
    pub fn new() -> SpinWait {
        SpinWait {
            reads_left: spin_limit(),
            turns: 0,
            is_long: false,
            waited: OwnTime::new(),
            long_since_ns: None,
            looked_ns: 0,
        }
    }

    /// Called after each read that found nothing. False once the wait has gone on for the watchdog's bound.
    #[inline]
    #[must_use = "a wait without a bound hides a hang"]
    pub fn turn(&mut self) -> bool {
        self.turns += 1;
        if self.reads_left != 0 {
            self.reads_left -= 1;
            return true;
        }
        self.pause()
    }

    /// How many reads found nothing.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// For how long the wait has gone on by the clock, whatever the watchdog excuses; 0 as long as it is a matter of a
    /// few reads.
    pub fn waited_ns(&self) -> u64 {
        self.long_since_ns
            .map_or(0, |since_ns| self.looked_ns.saturating_sub(since_ns))
    }

    fn pause(&mut self) -> bool {
        self.reads_left = spin_limit();
        hw::pause();
        !mem::replace(&mut self.is_long, true) || self.is_within_bound()
    }

    fn is_within_bound(&mut self) -> bool {
        let bound_ns = watchdog::bound_ns();
        let now_ns = time::now_ns();
        self.looked_ns = now_ns;
        self.long_since_ns.get_or_insert(now_ns);
        self.waited.count(now_ns, bound_ns / STEPS_PER_BOUND) < bound_ns
    }
}
