//! Interrupts: what each asks for is noted, and done by a thread later.

use proc::sched::pending;
use smp::{IrqOff, apic, ipi, mailbox};

/// Vector of the serial line's interrupt.
pub(crate) const SERIAL_VECTOR: u8 = 0x24;
/// Vector of the keyboard's interrupt.
pub(crate) const KEYBOARD_VECTOR: u8 = 0x21;

/// Handles an interrupt. Leaves notes, takes no lock.
pub(super) fn handle(vector: u8, from_user_mode: bool, off: &IrqOff) {
    match vector {
        ipi::TIMER_VECTOR => pending::leave_timer_note(from_user_mode),
        // Its arrival is all: it ends a halt or brings a thread back from user mode.
        ipi::RESCHEDULE_VECTOR => {}
        ipi::MAILBOX_VECTOR => mailbox::serve_from_interrupt(off),
        SERIAL_VECTOR | KEYBOARD_VECTOR => pending::leave_device_note(),
        // A spurious interrupt must not be acknowledged.
        _ => return,
    }
    apic::end_of_interrupt();
}

/// Serves a request from another CPU without leaving user mode; called by the entry stub.
pub(super) extern "C" fn serve_mailbox() {
    // SAFETY: the gate has turned them off, and nothing turns them on before `iretq` does.
    let off = unsafe { IrqOff::from_gate() };
    handle(ipi::MAILBOX_VECTOR, true, &off);
}
