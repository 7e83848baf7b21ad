//! The life of a user thread: runs in user mode, comes back with a reason, which is handled, and goes round.

use proc::registers::{SYSTEM_CALL_VECTOR, UserRegisters};
use proc::sched::{self, pending};
use proc::signal::deliver;
use proc::thread::Thread;
use smp::irq::{self, IrqOff};

use super::{FIRST_INTERRUPT, PAGE_FAULT, fault, interrupt, stubs};
use crate::boot::programs;
use crate::mappings;
use crate::plants;
use crate::syscall;

/// Runs `thread`, the current one, from `registers` on until it is to end.
pub(crate) fn run(thread: &Thread, mut registers: UserRegisters) {
    if thread.id() == abi::INIT_PID {
        programs::report_booted();
        thread.process().inspect(|process| mappings::log(process));
        plants::commit_before_user_mode();
    }
    let Some(user) = thread.user() else { return };
    loop {
        let off = irq::disable_from_enabled();
        if has_something_to_do(thread, &off) {
            drop(off);
            if thread.is_dying() {
                return;
            }
            pending::serve();
            sched::move_if_asked(thread);
            if let Err(reason) = deliver::deliver(thread, &mut registers) {
                fault::end_undeliverable(thread, reason);
            }
            continue;
        }
        smp::pin::assert_may_leave_kernel();
        // SAFETY: 1. `off`. 2. they come from `UserRegisters::start` or the last round, with at most the result of a
        // system call changed, or a signal handler entered or left. 3. this CPU runs threads, so it is set up, and the
        // scheduler has loaded the space of the thread that it runs. 4. `thread` is the current one.
        unsafe { stubs::enter_user(&raw mut registers, thread, user.kernel_entry()) };
        match registers.vector {
            // Handled already, if not for the reason that all registers are wanted.
            SYSTEM_CALL_VECTOR => {
                drop(off);
                if thread.attention.take_want_of_registers() {
                    syscall::dispatch_with_all_registers(thread, &mut registers);
                }
            }
            PAGE_FAULT => {
                let address = fault::faulting_address();
                drop(off);
                if deliver::has_returned(thread, &registers) {
                    deliver::leave_handler(thread, &mut registers);
                } else {
                    fault::handle_page_fault(thread, &mut registers, address);
                }
            }
            vector @ FIRST_INTERRUPT.. => interrupt::handle(vector as u8, true, &off),
            _ => {
                drop(off);
                fault::handle_exception(thread, &mut registers);
            }
        }
    }
}

/// Whether the thread must not go to user mode yet. What comes after this look comes with an interrupt, which ends user
/// mode at once.
#[inline(always)]
fn has_something_to_do(thread: &Thread, off: &IrqOff) -> bool {
    // Nearly always there is neither, which is one test.
    let notes = pending::notes(off);
    notes | thread.attention.bits() != 0 && (notes != 0 || thread.needs_attention())
}

/// Handles a system call, for the entry stub, which calls this with interrupts off and gets them back off. Returns the
/// registers if the thread can go straight back to user mode.
pub(super) extern "sysv64" fn system_call<'a>(
    registers: &'a mut UserRegisters,
    thread: &Thread,
) -> Option<&'a mut UserRegisters> {
    // SAFETY: 1. `syscall` has turned them off. 2. the guard that `run` holds on this stack is there for exactly this:
    // it stands for the time in which user mode runs or a stub does.
    drop(unsafe { IrqOff::adopt() });
    syscall::dispatch(thread, registers);
    let off = irq::disable_from_enabled();
    smp::pin::assert_may_leave_kernel();
    let goes_back = !has_something_to_do(thread, &off);
    // Interrupts stay off, on the way to user mode or back to `run`.
    core::mem::forget(off);
    goes_back.then_some(registers)
}
