//! Waiting without giving the CPU away: reads first, then PAUSE.
//!
//! With more virtual CPUs than host cores, what a CPU waits for may be done by one that the host does not run. PAUSE lets
//! the emulator run another, but costs more than many reads; so a wait reads `spin_limit` times between two of them.
//! While it waits, a CPU serves its flush requests (TLB-4: no CPU waits for anything with interrupts off and its own
//! flush requests unserved).

use core::sync::atomic::{AtomicU32, Ordering};

use crate::hw;

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

/// After so many cycles a wait has failed: half a minute at 2 GHz. Even with 255 virtual CPUs on one host core, all of
/// them have run by then.
pub const BOUND_CYCLES: u64 = 1 << 36;

/// The pace of one wait.
#[derive(Debug)]
pub struct SpinWait {
    reads_left: u32,
    turns: u64,
    /// When the first PAUSE was due.
    since: Option<u64>,
    /// How long after that the last one was.
    waited_cycles: u64,
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
            since: None,
            waited_cycles: 0,
        }
    }

    /// Called after each read that found nothing. False once the wait has gone on for [`BOUND_CYCLES`].
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

    /// For how long the wait has gone on, in cycles; 0 as long as it is a matter of a few reads.
    pub fn waited_cycles(&self) -> u64 {
        self.waited_cycles
    }

    fn pause(&mut self) -> bool {
        self.reads_left = spin_limit();
        hw::pause();
        let now = hw::timestamp();
        self.waited_cycles = now.wrapping_sub(*self.since.get_or_insert(now));
        self.waited_cycles < BOUND_CYCLES
    }
}
