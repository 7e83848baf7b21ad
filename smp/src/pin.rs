//! Being pinned: while a [`Pinned`] lives, its thread stays on its CPU.
//!
//! The kernel is not preempted, so a thread changes CPUs only by calling the scheduler. A guard costs nothing in
//! release builds: it is the promise, in the type, not to call it. Debug builds count the guards of each CPU, and the
//! scheduler asserts that there are none.

use core::marker::PhantomData;

use crate::cpu::{self, CpuId};
use crate::hw;
use crate::irq;

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

/// Panics in debug builds if this thread must keep its CPU: if it is pinned, holds a spin lock or has interrupts off.
/// Who may give the CPU away calls it, also where he does not in the end, so that a mistake shows at once and not only
/// when somebody waits.
#[inline(always)]
pub fn assert_may_switch() {
    if cfg!(debug_assertions) {
        check_may_switch();
    }
}

/// As [`assert_may_switch`], for who may have to wait, and does not at boot, when interrupts are off and nobody is
/// there to wait for.
#[inline(always)]
pub fn assert_may_wait() {
    if cfg!(debug_assertions) {
        check_nothing_held("may have to wait");
    }
}

/// As [`assert_may_switch`], at the border to user mode, where interrupts are off.
#[inline(always)]
pub fn assert_may_leave_kernel() {
    if cfg!(debug_assertions) {
        check_nothing_held("leaves the kernel");
    }
}

#[inline(never)]
fn check_may_switch() {
    check_nothing_held("gives its CPU away");
    assert!(
        irq::are_enabled(),
        "a thread gives its CPU away with interrupts off"
    );
}

#[inline(never)]
fn check_nothing_held(what: &str) {
    let block = hw::block();
    assert!(
        block.handler_depth() == 0,
        "a thread {what} inside of an interrupt handler"
    );
    if let Some(rank) = block.highest_rank_held() {
        let rank = crate::rank::name(rank);
        panic!("LOCK-3: a thread {what} with a lock of rank {rank} held");
    }
    assert!(block.pin_depth() == 0, "a thread {what} while pinned");
}

#[cfg(test)]
mod tests {
    use super::{assert_may_leave_kernel, assert_may_switch, pin};
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
        assert_may_switch();
    }

    #[test]
    #[should_panic(expected = "gives its CPU away while pinned")]
    fn switching_while_pinned_panics() {
        let _pin = pin();
        assert_may_switch();
    }

    #[test]
    #[should_panic(expected = "gives its CPU away with a lock of rank Heap held")]
    fn switching_with_a_lock_held_panics() {
        let lock = SpinLock::<(), rank::Heap>::new(());
        let _guard = core::mem::ManuallyDrop::new(lock.lock());
        assert_may_switch();
    }

    #[test]
    #[should_panic(expected = "gives its CPU away with interrupts off")]
    fn switching_with_interrupts_off_panics() {
        let _off = core::mem::ManuallyDrop::new(irq::disable());
        assert_may_switch();
    }

    #[test]
    #[should_panic(expected = "gives its CPU away inside of an interrupt handler")]
    fn switching_in_an_interrupt_handler_panics() {
        let _in_handler = core::mem::ManuallyDrop::new(irq::enter_handler());
        assert_may_switch();
    }

    #[test]
    fn a_thread_leaves_the_kernel_with_interrupts_off() {
        let _off = irq::disable();
        assert_may_leave_kernel();
    }
}
