//! Which address space a CPU uses.
//!
//! The scheduler says what it switches to: a thread of a space ([`activate`]), or a thread of the kernel's own, or
//! nothing ([`become_idle`]). The latter keeps what is loaded, since loading a root costs more than anything else in a
//! switch; going back to the same space is then nearly free. See [`crate::flush`] for the protocol (TLB-2).

use smp::IrqOff;

use crate::flush;
use crate::space::Space;

/// Makes this CPU use `space`. In a space that has been destroyed it can reach nothing.
#[inline]
pub fn activate(space: &Space, off: &IrqOff) {
    // SAFETY: 1. `root` is that of the space's own table until `Memory::take` sets it to 0; 2. the table is retired by
    // a batch of the space after that, and `space` stays where it is: it lives in an `Arc` from `Space::new` on.
    unsafe { flush::enter(&space.cpus, &space.root, off) };
}

/// This CPU goes on to run the kernel's own threads, or nothing. It uses no user memory until it activates a space
/// again.
#[inline]
pub fn become_idle(off: &IrqOff) {
    flush::become_idle(off);
}
