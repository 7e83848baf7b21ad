//! Exceptions, interrupts and system calls: from the processor to Rust.
//!
//! [`stubs`] is the way in and out, [`vectors`] tells the processor about it, [`user_loop`] handles what ends user
//! mode, and [`kernel_trap`] what interrupts the kernel.

pub(crate) mod fault;
pub(crate) mod interrupt;
pub(crate) mod probe;
pub(crate) mod segments;
pub(crate) mod stubs;
pub(crate) mod user_loop;
pub(crate) mod vectors;

use mm::addr::VirtAddr;
use smp::IrqOff;

use self::stubs::KernelFrame;

/// First vector that is not an exception.
const FIRST_INTERRUPT: u64 = 32;
const NMI: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;
const STACK_FAULT: u64 = 12;
const GENERAL_PROTECTION: u64 = 13;
/// In RFLAGS: interrupts were on.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// Handles an exception or interrupt that came while the kernel ran; called by the entry stubs with interrupts off.
extern "C" fn kernel_trap(frame: &mut KernelFrame) {
    match frame.vector {
        vector @ FIRST_INTERRUPT.. => {
            let _in_handler = smp::irq::enter_handler();
            // SAFETY: the gate has turned them off, and no handler turns them on.
            let off = unsafe { IrqOff::from_gate() };
            interrupt::handle(vector as u8, false, &off);
        }
        NMI => {
            let is_from_outside =
                smp::ipi::stop::enter_from_nmi(frame.rip as usize, frame.rbp as usize);
            assert!(
                !is_from_outside,
                "non-maskable interrupt from outside at {:#x}",
                frame.rip
            );
        }
        PAGE_FAULT => {
            let address = fault::faulting_address();
            if frame.rflags & INTERRUPT_FLAG != 0 {
                x86_64::instructions::interrupts::enable();
            }
            let is_user_copy = mm::user::fixup(frame.rip as usize).is_some();
            let repaired = fault::repair_for_kernel(address, frame.error_code, is_user_copy);
            x86_64::instructions::interrupts::disable();
            if let Err(reason) = repaired
                && !recover(frame)
                && !probe::recover(frame, address, reason)
            {
                panic!(
                    "page fault in the kernel: {}",
                    fault::describe(address, frame.error_code, frame.rip, reason)
                );
            }
        }
        DOUBLE_FAULT if mm::stack::is_guard_page(VirtAddr::new(fault::faulting_address())) => {
            panic!("kernel stack overflow at {:#x}", frame.rip)
        }
        vector => {
            let from_user_copy =
                matches!(vector, GENERAL_PROTECTION | STACK_FAULT) && recover(frame);
            assert!(
                from_user_copy,
                "{} in the kernel at {:#x}: {frame:x?}",
                fault::name(vector),
                frame.rip
            );
        }
    }
}

/// If the exception came from a copy to or from user memory, lets that copy return an error.
fn recover(frame: &mut KernelFrame) -> bool {
    match mm::user::fixup(frame.rip as usize) {
        Some(continuation) => {
            frame.rip = continuation as u64;
            true
        }
        None => false,
    }
}
