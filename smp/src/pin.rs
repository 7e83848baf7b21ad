//! Being pinned: while a [`Pinned`] lives, its thread stays on its CPU.
//!
//! The kernel is not preempted, so a thread changes CPUs only by calling the scheduler. A guard costs nothing in release
//! builds: it is the promise, in the type, not to call it. Debug builds count the guards of each CPU, and the scheduler
//! asserts that there are none.

use core::marker::PhantomData;

use crate::cpu::{self, CpuId};
use crate::hw;

/// While it lives, this thread stays on this CPU. It cannot leave the thread.
#[must_use = "the thread is pinned only while the guard lives"]
#[derive(Debug)]
pub struct Pinned {
    not_send: PhantomData<*mut ()>,
}

/// Pins this thread to the CPU that it runs on.
#[inline(always)]
pub fn pin() -> Pinned {
    if cfg!(debug_assertions) {
        hw::block().pin_added();
    }
    Pinned::uncounted()
}

impl Pinned {
    /// A witness for somebody who stays on the CPU for another reason, and wraps this in `ManuallyDrop`.
    #[inline(always)]
    pub(crate) const fn uncounted() -> Pinned {
        Pinned {
            not_send: PhantomData,
        }
    }

    /// The CPU that the thread is pinned to.
    #[inline(always)]
    pub fn cpu(&self) -> CpuId {
        cpu::id_racy()
    }
}

impl Drop for Pinned {
    #[inline(always)]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            hw::block().pin_removed();
        }
    }
}

/// Panics if this thread is pinned or holds a spin lock (debug builds). The scheduler calls it before it gives the CPU
/// away.
#[inline(always)]
pub fn assert_unpinned() {
    if cfg!(debug_assertions) {
        let block = hw::block();
        assert!(block.pin_depth() == 0, "switched away from while pinned");
        if let Some(rank) = block.highest_rank_held() {
            panic!(
                "switched away from while holding a lock of rank {}",
                crate::rank::name(rank)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{assert_unpinned, pin};
    use crate::host;
    use crate::lock::SpinLock;
    use crate::{CpuId, irq, rank};

    #[test]
    fn a_pinned_thread_knows_its_cpu() {
        host::become_cpu(CpuId::new(5));
        assert_eq!(pin().cpu(), CpuId::new(5));
    }

    #[test]
    fn switching_is_allowed_again_when_the_last_pin_is_gone() {
        let (first, second) = (pin(), pin());
        drop((first, second));
        assert_unpinned();
    }

    #[test]
    #[should_panic(expected = "while pinned")]
    fn switching_while_pinned_panics() {
        let _pin = pin();
        assert_unpinned();
    }

    #[test]
    #[should_panic(expected = "holding a lock of rank Heap")]
    fn switching_with_a_lock_held_panics() {
        let lock = SpinLock::<(), rank::Heap>::new(());
        let _guard = core::mem::ManuallyDrop::new(lock.lock());
        assert_unpinned();
    }

    #[test]
    fn switching_with_interrupts_off_is_what_the_scheduler_does() {
        let _off = irq::disable();
        assert_unpinned();
    }
}
