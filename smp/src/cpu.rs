//! Which CPU: dense numbers, and how many there are.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::hw;

/// No machine has more CPUs than this: the size of a [`CpuSet`](crate::CpuSet).
pub const MAX_CPUS: usize = 1024;

/// The number of a CPU: dense, in order of arrival, 0 for the one that booted. Not the APIC id.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
#[repr(transparent)]
pub struct CpuId(u32);

impl CpuId {
    /// The CPU that the machine started with.
    pub const BOOT: CpuId = CpuId(0);

    /// The CPU with this number. Panics at [`MAX_CPUS`] and above: whoever takes a number from a user checks it first.
    pub const fn new(index: usize) -> CpuId {
        assert!(index < MAX_CPUS, "CPU number out of range");
        CpuId(index as u32)
    }

    /// The number that stands in a CPU's block: that of a `CpuId`.
    #[inline(always)]
    pub(crate) const fn from_block(number: u32) -> CpuId {
        debug_assert!((number as usize) < MAX_CPUS);
        CpuId(number)
    }

    /// The number, below [`MAX_CPUS`].
    #[inline(always)]
    pub const fn index(self) -> usize {
        // SAFETY: `new` has checked it, or it came out of a block, where the number of a `CpuId` stands (`from_block`).
        // So nobody who indexes by it checks again.
        unsafe { core::hint::assert_unchecked((self.0 as usize) < MAX_CPUS) };
        self.0 as usize
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

static COUNT: AtomicUsize = AtomicUsize::new(1);
static POSSIBLE: AtomicUsize = AtomicUsize::new(hw::POSSIBLE_AT_START);

/// How many CPUs are up; their numbers are `0..count()`. It is 1 until bring-up has finished.
#[inline]
pub fn count() -> usize {
    // Acquire pairs with the Release in `set_count`: what was set up for a CPU is seen by whoever sees the CPU.
    COUNT.load(Ordering::Acquire)
}

/// Says that bring-up has finished with this many CPUs.
pub fn set_count(count: usize) {
    assert!(
        (1..=possible()).contains(&count),
        "{count} CPUs are up, {} are possible",
        possible()
    );
    // Release pairs with the Acquire in `count`.
    COUNT.store(count, Ordering::Release);
}

/// No CPU has a number at or above this, not even while it is being brought up.
#[inline]
pub fn possible() -> usize {
    // Relaxed: set by the boot CPU before any other runs.
    POSSIBLE.load(Ordering::Relaxed)
}

/// Says how many CPUs the machine may have; the boot CPU calls it before it starts any other.
pub fn set_possible(possible: usize) {
    assert!(
        (1..=MAX_CPUS).contains(&possible),
        "{possible} CPUs are not possible"
    );
    // Relaxed: see `possible`.
    POSSIBLE.store(possible, Ordering::Relaxed);
}

/// The CPU that this ran on. Unless the caller is pinned it may be another one by now: good for hints and messages
/// only.
#[inline(always)]
pub fn id_racy() -> CpuId {
    CpuId::from_block(hw::cpu_index())
}

#[cfg(test)]
mod tests {
    use super::{CpuId, MAX_CPUS};

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_number_beyond_the_largest_machine_is_refused() {
        let _ = CpuId::new(MAX_CPUS);
    }
}
