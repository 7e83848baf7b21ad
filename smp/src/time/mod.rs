//! Time: nanoseconds since the kernel's first instruction, by the time-stamp counter.
//!
//! The counter runs alike on all CPUs and never stops (so it does on every processor and emulator of the last decade).
//! How fast it runs is found out once at boot, against a clock of known speed, together with the speed of the APIC
//! timer.

#[cfg(any(target_os = "none", test))]
mod calibration;
#[cfg(target_os = "none")]
mod measure;
#[cfg(target_os = "none")]
mod pit;
#[cfg(any(target_os = "none", test))]
mod readings;
#[cfg(any(target_os = "none", test))]
mod scale;

#[cfg(target_os = "none")]
pub(crate) use self::scale::Scale;

#[cfg(target_os = "none")]
pub use self::measure::{Calibration, NoReferenceClock, Reference, init};

/// Nanoseconds in a second.
pub const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds since the kernel's first instruction; 0 until `init` has been called.
#[inline(always)]
pub fn now_ns() -> u64 {
    clock::now_ns()
}

/// The time-stamp counter, for sums of short spans, which [`ticks_to_ns`] brings to nanoseconds when somebody looks.
#[inline(always)]
pub fn ticks() -> u64 {
    crate::hw::timestamp()
}

/// How many nanoseconds so many ticks take; 0 until `init` has been called.
#[inline(always)]
pub fn ticks_to_ns(ticks: u64) -> u64 {
    clock::ticks_to_ns(ticks)
}

/// The end of a bounded wait.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub struct Deadline {
    at_ns: u64,
}

impl Deadline {
    /// The moment `delay_ns` from now.
    pub fn after_ns(delay_ns: u64) -> Deadline {
        Deadline {
            at_ns: now_ns().saturating_add(delay_ns),
        }
    }

    /// The moment `delay_ms` milliseconds from now.
    pub fn after_ms(delay_ms: u64) -> Deadline {
        Deadline::after_ns(delay_ms.saturating_mul(NS_PER_MS))
    }

    /// Whether it is over.
    #[inline]
    pub fn has_passed(self) -> bool {
        now_ns() >= self.at_ns
    }
}

#[cfg(target_os = "none")]
mod clock {
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::{NS_PER_SECOND, Scale};

    /// The counter at time 0. These two are set by the boot CPU before any other runs, hence relaxed.
    static ZERO: AtomicU64 = AtomicU64::new(0);
    /// A [`Scale`] to nanoseconds; 0 until it is known, which makes every time 0.
    static TO_NS: AtomicU64 = AtomicU64::new(0);

    #[inline(always)]
    pub(super) fn now_ns() -> u64 {
        ticks_to_ns(super::ticks().wrapping_sub(ZERO.load(Relaxed)))
    }

    #[inline(always)]
    pub(super) fn ticks_to_ns(ticks: u64) -> u64 {
        Scale::from_bits(TO_NS.load(Relaxed)).apply(ticks)
    }

    pub(super) fn start(zero: u64, ticks_per_second: u64) {
        ZERO.store(zero, Relaxed);
        TO_NS.store(
            Scale::new(ticks_per_second, NS_PER_SECOND).to_bits(),
            Relaxed,
        );
    }
}

#[cfg(not(target_os = "none"))]
mod clock {
    /// On the host the stand-in for the counter counts nanoseconds.
    pub(super) fn now_ns() -> u64 {
        super::ticks()
    }

    pub(super) fn ticks_to_ns(ticks: u64) -> u64 {
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::Deadline;

    #[test]
    fn a_deadline_passes_when_its_time_has_come_and_not_before() {
        assert!(Deadline::after_ns(0).has_passed());
        let later = Deadline::after_ms(20);
        assert!(!later.has_passed());
        std::thread::sleep(std::time::Duration::from_millis(25));
        assert!(later.has_passed());
    }

    #[test]
    fn a_deadline_beyond_the_end_of_time_does_not_wrap() {
        assert!(!Deadline::after_ms(u64::MAX).has_passed());
    }
}
