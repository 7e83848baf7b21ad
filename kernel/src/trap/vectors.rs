//! The interrupt descriptor table, one for all CPUs, and the registers that point into the kernel.
//!
//! Source: Intel SDM volume 3, 5.8.8 "Fast System Calls in 64-Bit Mode" and 6.14 "Exception and Interrupt Handling in
//! 64-bit Mode".

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Once;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::{PrivilegeLevel, VirtAddr};

use super::segments::{KERNEL_CODE_SELECTOR, KERNEL_DATA_SELECTOR, OwnStack};
use super::stubs;
use crate::boot::features;
use smp::ipi;

/// Whether the kernel may use and execute users' pages (`break=pagealloc`): the CPUs then have SMEP and SMAP off.
static IS_KERNEL_LET_IN: AtomicBool = AtomicBool::new(false);

/// Lets the kernel use and execute users' pages: otherwise it would stumble over the first page of its own that a user
/// has got (`break=pagealloc`).
pub(crate) fn break_user_page_prevention() {
    // Relaxed: read by this CPU, and by others that it starts later.
    IS_KERNEL_LET_IN.store(true, Ordering::Relaxed);
}

static TABLE: Once<InterruptDescriptorTable> = Once::new();

/// Loads the vectors and the system-call registers on this CPU, and switches its protections on.
///
/// Needs: [`super::segments::init_cpu`].
pub(crate) fn init_cpu() {
    TABLE.call_once(new_table).load();
    // Relaxed: set by the boot CPU before it starts others.
    let keeps_kernel_out = !IS_KERNEL_LET_IN.load(Ordering::Relaxed);
    mm::user::set_smap(keeps_kernel_out);
    let selector = |value: u16, level| SegmentSelector::new(value / 8, level);
    // `sysret` takes the user's segments from the two entries behind this selector.
    let user_data = selector(KERNEL_DATA_SELECTOR + 8, PrivilegeLevel::Ring3);
    let user_code = selector(KERNEL_DATA_SELECTOR + 16, PrivilegeLevel::Ring3);
    let kernel_code = selector(KERNEL_CODE_SELECTOR, PrivilegeLevel::Ring0);
    let kernel_data = selector(KERNEL_DATA_SELECTOR, PrivilegeLevel::Ring0);
    if Star::write(user_code, user_data, kernel_code, kernel_data).is_err() {
        unreachable!("the order of the segments is that of sysret");
    }
    LStar::write(VirtAddr::from_ptr(stubs::system_call_entry as *const ()));
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK,
    );
    // SAFETY: the kernel's map has no-execute entries, no user pages below the user half, and kernel code touches user
    // memory only between STAC and CLAC; `main` has checked that the CPU has these features, all but one, which is
    // asked for here.
    unsafe {
        Efer::update(|flags| {
            flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE)
        });
        Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT));
        Cr4::update(|flags| {
            flags.insert(Cr4Flags::PAGE_GLOBAL);
            flags.set(
                Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION,
                features::has_user_mode_instruction_prevention(),
            );
            flags.set(
                Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION
                    | Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION,
                keeps_kernel_out,
            );
        });
    }
}

fn new_table() -> InterruptDescriptorTable {
    let mut table = InterruptDescriptorTable::new();
    let address = |stub: unsafe extern "C" fn()| VirtAddr::from_ptr(stub as *const ());
    // SAFETY: each stub handles the exception or interrupt at whose place it stands, with or without error code, and
    // those on stacks of their own use the stacks that `segments` provides.
    unsafe {
        use stubs::{exception as e, interrupt as i};
        table
            .divide_error
            .set_handler_addr(address(e::divide_error));
        table
            .debug
            .set_handler_addr(address(e::debug))
            .set_stack_index(OwnStack::Debug as u16);
        table
            .non_maskable_interrupt
            .set_handler_addr(address(e::nmi))
            .set_stack_index(OwnStack::Nmi as u16);
        table
            .breakpoint
            .set_handler_addr(address(e::breakpoint))
            .set_privilege_level(PrivilegeLevel::Ring3);
        table.overflow.set_handler_addr(address(e::overflow));
        table
            .bound_range_exceeded
            .set_handler_addr(address(e::bound_range));
        table
            .invalid_opcode
            .set_handler_addr(address(e::invalid_opcode));
        table
            .device_not_available
            .set_handler_addr(address(e::device_not_available));
        table
            .double_fault
            .set_handler_addr(address(e::double_fault))
            .set_stack_index(OwnStack::DoubleFault as u16);
        table.invalid_tss.set_handler_addr(address(e::invalid_tss));
        table
            .segment_not_present
            .set_handler_addr(address(e::segment_not_present));
        table
            .stack_segment_fault
            .set_handler_addr(address(e::stack_fault));
        table
            .general_protection_fault
            .set_handler_addr(address(e::general_protection));
        table.page_fault.set_handler_addr(address(e::page_fault));
        table
            .x87_floating_point
            .set_handler_addr(address(e::x87_error));
        table
            .alignment_check
            .set_handler_addr(address(e::alignment_check));
        table
            .machine_check
            .set_handler_addr(address(e::machine_check))
            .set_stack_index(OwnStack::MachineCheck as u16);
        table
            .simd_floating_point
            .set_handler_addr(address(e::simd_error));
        table
            .virtualization
            .set_handler_addr(address(e::virtualization));
        table
            .cp_protection_exception
            .set_handler_addr(address(e::control_protection));
        let interrupts: [(u8, unsafe extern "C" fn()); 6] = [
            (super::interrupt::SERIAL_VECTOR, i::serial),
            (super::interrupt::KEYBOARD_VECTOR, i::keyboard),
            (ipi::TIMER_VECTOR, i::timer),
            (ipi::RESCHEDULE_VECTOR, i::reschedule),
            (ipi::MAILBOX_VECTOR, stubs::mailbox_entry),
            (ipi::SPURIOUS_VECTOR, i::spurious),
        ];
        for (vector, stub) in interrupts {
            table[vector].set_handler_addr(address(stub));
        }
    }
    table
}
