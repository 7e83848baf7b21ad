//! Fibers: contexts in which kernel code executes, each with a stack of its own, of which a CPU runs one at a time.
//!
//! A switch is safe to ask for: no stack is ever used by two CPUs at once, and none is used after it has been freed.
//! [`Running`] keeps, for each CPU, the object whose fiber runs there (a thread), and is the only way to switch.
//!
//! - **FIBER-1**: a fiber runs on at most one CPU. Whoever switches to it takes it from *suspended* to *running* by a
//!   compare-and-exchange, and panics if it was not suspended.
//! - **FIBER-2**: a fiber becomes suspended only when its registers are saved and its CPU has left its stack: the
//!   switch stores the state last, from the next fiber's stack.
//! - **FIBER-3**: what owns the running fiber is kept alive by its CPU's slot in `Running`, and goes back to the code
//!   that runs next.
//! - **FPU-1**: while a fiber with FPU state runs, the registers hold it; while it does not run, the memory does. The
//!   registers of the CPU that it ran on last may hold it as well, and if they still do when it comes back, nothing is
//!   loaded. The kernel's own code uses no FPU registers.
//! - **ENTRY-1**: while a fiber runs that has been to user mode, its CPU enters the kernel by the words in its
//!   [`KernelEntry`]: who goes to user mode for the first time sets both, each switch copies them to the CPU.

mod kernel_entry;
mod running;
mod stack;
mod switch;
#[cfg(test)]
mod tests;
mod user_state;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub use self::kernel_entry::KernelEntry;
pub use self::running::{HasFiber, Running};
pub use self::stack::KernelStackOwner;
pub use self::user_state::UserState;
pub use crate::fpu::FpuState;

use self::stack::OwnedStack;
use crate::{percpu, pin};

/// The fiber of an idle loop that no CPU has adopted yet.
const UNADOPTED: u32 = 0;
const SUSPENDED: u32 = 1;
const RUNNING: u32 = 2;

/// A context of kernel code: a stack, and while it is suspended the registers saved on it.
#[derive(Debug)]
pub struct Fiber {
    /// One of the states above. Taken to `RUNNING` with Acquire, which pairs with the store in the switch (FIBER-2).
    state: AtomicU32,
    /// False until the fiber has run for the first time.
    begun: AtomicBool,
    /// Where the registers are saved. Belongs to whoever took the state to `RUNNING`.
    rsp: UnsafeCell<usize>,
    /// None for a fiber that never goes to user mode.
    user: Option<UserState>,
    /// None for an idle loop, whose stack lives for ever.
    _stack: Option<OwnedStack>,
}

// SAFETY: `rsp` is touched only by the CPU that took the state to `RUNNING` (FIBER-1), and the next to do so sees what
// it wrote; the stack's owner is only dropped, and may be anywhere; the rest is atomic or never changes.
unsafe impl Sync for Fiber {}
// SAFETY: nothing in it belongs to a thread of the host or to a CPU.
unsafe impl Send for Fiber {}

impl Fiber {
    /// A suspended fiber that will call `entry(argument)` on `stack`, with interrupts off, when it is switched to for
    /// the first time. The first thing that `entry` does is [`Running::begin`].
    ///
    /// `user` is what it has in user mode at first; a fiber without must not go there.
    pub fn new<S: KernelStackOwner>(
        stack: S,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
        user: Option<UserState>,
    ) -> Fiber {
        let top = stack.top();
        Fiber {
            state: AtomicU32::new(SUSPENDED),
            begun: AtomicBool::new(false),
            // SAFETY: the stack is mapped, writable, large enough and nobody else's, as its owner promises.
            rsp: UnsafeCell::new(unsafe { switch::prepare_stack(top, entry, argument) }),
            user,
            _stack: Some(OwnedStack::new(stack)),
        }
    }

    /// The fiber of an idle loop, for [`Running::adopt`]: the stack on which its CPU was started.
    pub const fn idle() -> Fiber {
        Fiber {
            state: AtomicU32::new(UNADOPTED),
            begun: AtomicBool::new(true),
            rsp: UnsafeCell::new(0),
            user: None,
            _stack: None,
        }
    }

    /// What it has in user mode, if it goes there.
    #[inline]
    pub fn user(&self) -> Option<&UserState> {
        self.user.as_ref()
    }

    /// Whether no CPU runs it. If it says so, its CPU has left its stack.
    pub fn is_suspended(&self) -> bool {
        // Acquire pairs with the store in the switch (FIBER-2).
        self.state.load(Ordering::Acquire) == SUSPENDED
    }

    /// Gives the fiber, which runs this, the FPU state `state` in place of its own. Panics if another one runs this, or
    /// if it has no FPU state.
    pub fn replace_fpu(&self, state: &FpuState) {
        let pin = pin::pin();
        let current = percpu::own_block(&pin)
            .current_fiber
            .load(Ordering::Relaxed);
        assert!(
            current == core::ptr::from_ref(self).addr() && self.user.is_some(),
            "only what runs can have its FPU registers changed"
        );
        // SAFETY: 1. FPU-1: the registers hold this fiber's state, which is replaced; 2. saving needs `&mut`.
        unsafe { state.load_registers() };
    }

    /// Takes the right to run it. Panics if it is not suspended (FIBER-1).
    #[inline]
    fn claim(&self) {
        // Acquire pairs with the store in the switch (FIBER-2).
        let claimed =
            self.state
                .compare_exchange(SUSPENDED, RUNNING, Ordering::Acquire, Ordering::Relaxed);
        assert!(
            claimed.is_ok(),
            "FIBER-1: switched to a fiber that is not suspended"
        );
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        assert!(
            *self.state.get_mut() != RUNNING,
            "a fiber was dropped that a CPU runs"
        );
    }
}
