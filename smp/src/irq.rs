//! This CPU's interrupts: off while an [`IrqOff`] lives.

use core::mem::ManuallyDrop;
use core::ops::Deref;

use crate::hw;
use crate::pin::Pinned;

/// While it lives, interrupts are off on this CPU; dropping it restores what was before. It cannot leave the thread.
///
/// With interrupts off the thread is pinned too, so this stands in for a [`Pinned`]. The one exception is the
/// scheduler's own switch, which takes a guard as its witness and may come back on another CPU.
#[must_use = "interrupts are off only while the guard lives"]
#[derive(Debug)]
pub struct IrqOff {
    were_enabled: bool,
    pinned: ManuallyDrop<Pinned>,
}

/// Turns interrupts off until the guard is dropped.
#[inline(always)]
pub fn disable() -> IrqOff {
    let were_enabled = hw::interrupts_enabled();
    hw::disable_interrupts();
    IrqOff::new(were_enabled)
}

/// Turns interrupts off until the guard is dropped, for code that knows that they are on: cheaper than [`disable`].
#[inline(always)]
pub fn disable_from_enabled() -> IrqOff {
    debug_assert!(hw::interrupts_enabled(), "interrupts are off already");
    hw::disable_interrupts();
    IrqOff::new(true)
}

/// Whether this CPU takes interrupts now.
#[inline(always)]
pub fn are_enabled() -> bool {
    hw::interrupts_enabled()
}

impl IrqOff {
    /// A guard, now that interrupts are off.
    #[inline(always)]
    fn new(were_enabled: bool) -> IrqOff {
        IrqOff {
            were_enabled,
            pinned: ManuallyDrop::new(Pinned::uncounted()),
        }
    }

    /// A guard for code that *starts* with interrupts off (a new thread, a CPU that has just come up, an entry stub):
    /// dropping it turns them on.
    ///
    /// # Safety
    /// 1. Interrupts are off.
    /// 2. No other guard on this stack is the reason why: dropping this one would break its promise.
    #[inline(always)]
    pub unsafe fn adopt() -> IrqOff {
        debug_assert!(
            !hw::interrupts_enabled(),
            "adopted a guard with interrupts on"
        );
        IrqOff::new(true)
    }

    /// A guard for an interrupt handler, which its gate has entered with interrupts off: dropping it leaves them off.
    ///
    /// # Safety
    /// Interrupts are off, and stay off until the guard has been dropped.
    #[inline(always)]
    pub unsafe fn from_gate() -> IrqOff {
        debug_assert!(
            !hw::interrupts_enabled(),
            "a handler runs with interrupts on"
        );
        IrqOff::new(false)
    }

    /// Sleeps until an interrupt has been handled; on return interrupts are off again. What was decided with interrupts
    /// off still holds when the CPU falls asleep: an interrupt that arrives in between ends the sleep at once.
    ///
    /// Panics if an outer guard wants interrupts off, since they come on for a while here.
    pub fn halt_until_interrupt(&mut self) {
        assert!(
            self.were_enabled,
            "halt inside of a section that keeps interrupts off"
        );
        hw::halt_until_interrupt();
    }
}

impl Deref for IrqOff {
    type Target = Pinned;

    #[inline(always)]
    fn deref(&self) -> &Pinned {
        &self.pinned
    }
}

impl Drop for IrqOff {
    #[inline(always)]
    fn drop(&mut self) {
        debug_assert!(
            !hw::interrupts_enabled(),
            "interrupts were turned on inside of a section that keeps them off"
        );
        if self.were_enabled {
            hw::enable_interrupts();
        }
    }
}

/// While it lives, this CPU is inside of an interrupt handler that nests on kernel code. Debug builds then refuse locks
/// that do not mask interrupts: the interrupted code may hold the same lock.
#[must_use = "the CPU counts as inside of a handler only while the guard lives"]
#[derive(Debug)]
pub struct InHandler {
    pinned: ManuallyDrop<Pinned>,
}

/// Says that an interrupt handler which nests on kernel code begins.
#[inline(always)]
pub fn enter_handler() -> InHandler {
    hw::block().handler_entered();
    InHandler {
        pinned: ManuallyDrop::new(Pinned::uncounted()),
    }
}

/// Whether this CPU is inside of an interrupt handler that nests on kernel code.
#[inline(always)]
pub fn in_handler() -> bool {
    hw::block().handler_depth() != 0
}

impl Deref for InHandler {
    type Target = Pinned;

    #[inline(always)]
    fn deref(&self) -> &Pinned {
        &self.pinned
    }
}

impl Drop for InHandler {
    #[inline(always)]
    fn drop(&mut self) {
        hw::block().handler_left();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::{are_enabled, disable};
    use crate::host;

    #[test]
    fn the_inner_of_two_guards_leaves_interrupts_off() {
        let outer = disable();
        drop(disable());
        assert!(!are_enabled());
        drop(outer);
        assert!(are_enabled());
    }

    #[test]
    fn halting_handles_an_interrupt_and_returns_with_interrupts_off() {
        let handled = Rc::new(Cell::new(0));
        let seen = handled.clone();
        host::on_interrupt(move || seen.set(seen.get() + 1));
        let mut off = disable();
        assert_eq!(handled.get(), 0);
        off.halt_until_interrupt();
        assert!(handled.get() > 0);
        assert!(!are_enabled());
    }

    #[test]
    #[should_panic(expected = "keeps interrupts off")]
    fn halting_inside_of_an_outer_guard_is_refused() {
        let _outer = disable();
        disable().halt_until_interrupt();
    }
}
