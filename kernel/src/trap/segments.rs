//! Segments, the task state segment and the stacks of exceptions that cannot trust the current stack.
//!
//! NMI, machine check, debug and double fault can arrive while the kernel runs on a user's GS base or on no stack of
//! its own. Each has a stack of its own, and just above that stack lies the address of this CPU's per-CPU block, so
//! that the entry stub can find it without trusting GS.
//!
//! Source: Intel SDM volume 3, 6.14.5 "Interrupt Stack Table" and 8.7 "Task Management in 64-bit Mode".

use alloc::boxed::Box;
use core::sync::atomic::Ordering;

use smp::percpu::PerCpuBlock;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// Selector of the kernel's code segment; the entry stubs and `syscall` agree on it.
pub(crate) const KERNEL_CODE_SELECTOR: u16 = 0x08;
/// Selector of the kernel's data segment.
pub(crate) const KERNEL_DATA_SELECTOR: u16 = 0x10;

/// The exceptions with stacks of their own, and the index of that stack in the interrupt stack table.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum OwnStack {
    /// Non-maskable interrupt.
    Nmi = 0,
    /// Double fault.
    DoubleFault = 1,
    /// Machine check.
    MachineCheck = 2,
    /// Debug exception.
    Debug = 3,
}

const OWN_STACKS: usize = 4;
const OWN_STACK_SIZE: usize = 8 * 1024;

/// A stack of [`OwnStack`], with what lies above its top.
#[repr(C, align(16))]
struct Stack {
    bytes: [u8; OWN_STACK_SIZE],
    /// The stack's top is here.
    block: *const PerCpuBlock,
    padding: u64,
}

/// The segments and stacks of one CPU, which it keeps for ever.
struct Tables {
    task: TaskStateSegment,
    gdt: GlobalDescriptorTable<8>,
    stacks: [Stack; OWN_STACKS],
}

/// Gives this CPU segments and exception stacks of its own.
///
/// # Errors
/// [`mm::NoMemory`] if there is none for them.
pub(crate) fn init_cpu(block: &'static PerCpuBlock) -> Result<(), mm::NoMemory> {
    let tables = Box::leak(mm::heap::try_box(Tables {
        task: TaskStateSegment::new(),
        gdt: GlobalDescriptorTable::empty(),
        stacks: [const {
            Stack {
                bytes: [0; OWN_STACK_SIZE],
                block: core::ptr::null(),
                padding: 0,
            }
        }; OWN_STACKS],
    })?);
    let mut tops = [VirtAddr::zero(); 7];
    for (stack, top) in tables.stacks.iter_mut().zip(&mut tops) {
        stack.block = block;
        *top = VirtAddr::from_ptr(&raw const stack.block);
    }
    tables.task.interrupt_stack_table = tops;
    // Relaxed: read by this CPU's entry stubs only.
    block.tss_rsp0.store(
        (&raw mut tables.task.privilege_stack_table[0]).cast(),
        Ordering::Relaxed,
    );
    // The order is that of the selectors above and of `proc::registers`.
    tables.gdt.append(Descriptor::kernel_code_segment());
    tables.gdt.append(Descriptor::kernel_data_segment());
    tables.gdt.append(Descriptor::user_data_segment());
    tables.gdt.append(Descriptor::user_code_segment());
    let task: &'static TaskStateSegment = &tables.task;
    let task_selector = tables.gdt.append(Descriptor::tss_segment(task));
    let gdt: &'static GlobalDescriptorTable<8> = &tables.gdt;
    gdt.load();
    let code = x86_64::structures::gdt::SegmentSelector::new(
        KERNEL_CODE_SELECTOR / 8,
        PrivilegeLevel::Ring0,
    );
    let data = x86_64::structures::gdt::SegmentSelector::new(
        KERNEL_DATA_SELECTOR / 8,
        PrivilegeLevel::Ring0,
    );
    // SAFETY: the table just loaded has a 64-bit code segment, a data segment and a task state segment at these
    // selectors, and table, segment and stacks live for ever.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task_selector);
    }
    Ok(())
}
