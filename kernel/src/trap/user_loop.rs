//! The life of a user thread: runs in user mode, comes back with a reason, which is handled, and goes round.

use proc::registers::{SYSTEM_CALL_VECTOR, UserRegisters};
use proc::sched::{self, pending};
use proc::thread::Thread;
use smp::irq;

use super::{FIRST_INTERRUPT, PAGE_FAULT, fault, interrupt, stubs};
use crate::syscall;

/// Runs `thread`, the current one, from `registers` on until it is to end.
pub(crate) fn run(thread: &Thread, mut registers: UserRegisters) {
    loop {
        let off = irq::disable();
        // What comes after this look comes with an interrupt, which ends user mode at once.
        if pending::any(&off) || thread.needs_attention() {
            drop(off);
            if thread.is_dying() {
                return;
            }
            pending::serve();
            sched::leave_forbidden_cpu(thread);
            continue;
        }
        // SAFETY: 1. `off`. 2. they come from `UserRegisters::start` or the last round, with at most the result of a
        // system call changed. 3. this CPU runs threads, so it is set up, and the scheduler has loaded the space of the
        // thread that it runs.
        unsafe { stubs::enter_user(&raw mut registers) };
        match registers.vector {
            SYSTEM_CALL_VECTOR => {
                drop(off);
                syscall::dispatch(thread, &mut registers);
            }
            PAGE_FAULT => {
                let address = fault::faulting_address();
                drop(off);
                fault::handle_page_fault(thread, &registers, address);
            }
            vector @ FIRST_INTERRUPT.. => interrupt::handle(vector as u8, true),
            _ => {
                drop(off);
                fault::handle_exception(thread, &registers);
            }
        }
    }
}
