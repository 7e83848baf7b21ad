//! Instructions that a program must not use, and processor state with which it must not harm the kernel.

use core::arch::asm;

use abi::{Sysno, decode};
use ulib::{Pid, process};

use crate::check::{KERNEL_TEXT, NOT_CANONICAL, ok};
use crate::runner::tests;

tests![
    disabling_interrupts dies_by SIGSEGV,
    halting dies_by SIGSEGV,
    reading_a_port dies_by SIGSEGV,
    writing_a_port dies_by SIGSEGV,
    loading_the_page_table dies_by SIGSEGV,
    reading_a_control_register dies_by SIGSEGV,
    writing_a_model_specific_register dies_by SIGSEGV,
    swapping_gs dies_by SIGSEGV,
    loading_an_interrupt_table dies_by SIGSEGV,
    returning_like_the_kernel dies_by SIGSEGV,
    loading_a_kernel_segment dies_by SIGSEGV,
    raising_an_interrupt_of_the_hardware dies_by SIGSEGV,
    raising_a_page_fault_by_hand dies_by SIGSEGV,
    an_undefined_instruction dies_by SIGILL,
    division_by_zero dies_by SIGFPE,
    division_overflow dies_by SIGFPE,
    an_unmasked_floating_point_exception dies_by SIGFPE,
    a_breakpoint dies_by SIGTRAP,
    a_single_step dies_by SIGTRAP,
    a_system_call_works_with_any_stack_pointer,
    a_system_call_works_with_the_direction_flag_set,
    a_system_call_works_with_odd_flags_set,
    a_system_call_works_with_odd_segments,
    a_fault_with_any_stack_pointer dies_by SIGSEGV,
];

/// A function that is one instruction, or a few, which must not get through.
macro_rules! forbidden {
    ($($name:ident: $($instruction:literal),+;)+) => {
        $(fn $name() {
            // SAFETY: this ends the process, which is the test.
            unsafe { asm!($($instruction),+, out("rax") _, out("rcx") _, out("rdx") _) };
        })+
    };
}

forbidden! {
    disabling_interrupts: "cli";
    halting: "hlt";
    reading_a_port: "in al, 0x60";
    writing_a_port: "mov eax, 0x10", "out 0xf4, eax";
    loading_the_page_table: "xor eax, eax", "mov cr3, rax";
    reading_a_control_register: "mov rax, cr0";
    writing_a_model_specific_register: "xor eax, eax", "xor edx, edx", "mov ecx, 0xc0000082", "wrmsr";
    swapping_gs: "swapgs";
    loading_an_interrupt_table: "lidt [rsp]";
    returning_like_the_kernel: "xor ecx, ecx", "sysretq";
    loading_a_kernel_segment: "mov eax, 0x10", "mov ds, eax";
    raising_an_interrupt_of_the_hardware: "int 0x20";
    raising_a_page_fault_by_hand: "int 14";
    an_undefined_instruction: "ud2";
    division_by_zero: "xor ecx, ecx", "mov eax, 1", "xor edx, edx", "div ecx";
    division_overflow: "mov eax, 0x80000000", "cdq", "mov ecx, -1", "idiv ecx";
    a_breakpoint: "int3";
    a_single_step: "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop";
}

/// The older unit, since QEMU emulates no exceptions of the vector unit.
fn an_unmasked_floating_point_exception() {
    let unmasked = 0x37f_u16 & !(1 << 2); // division by zero raises an exception
    // SAFETY: this ends the process, which is the test.
    unsafe {
        asm!("fldcw [{0}]", "fld1", "fldz", "fdivp", "fwait", in(reg) &raw const unmasked,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _);
    }
}

/// Makes the call `getpid` with another value in the stack pointer.
fn getpid_with_stack_pointer(stack_pointer: usize) -> isize {
    let result;
    // SAFETY: the stack is not used until its pointer is back.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "mov rsp, {other}",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            other = in(reg) stack_pointer,
            inlateout("rax") Sysno::GetPid.number() => result,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

fn a_system_call_works_with_any_stack_pointer() {
    let expected = process::getpid();
    for stack_pointer in [
        0,
        1,
        KERNEL_TEXT,
        NOT_CANONICAL,
        usize::MAX,
        0x7fff_ffff_fff8,
    ] {
        for _ in 0..100 {
            assert_eq!(
                getpid_with_stack_pointer(stack_pointer),
                expected as isize,
                "{stack_pointer:#x}"
            );
        }
    }
    // Interrupts come, too, while the stack pointer is wild.
    let deadline_ns = process::clock_ns() + 50_000_000;
    while process::clock_ns() < deadline_ns {
        // SAFETY: the stack is not used until its pointer is back.
        unsafe {
            asm!("mov {saved}, rsp", "mov rsp, {wild}", "2:", "dec {turns}", "jnz 2b", "mov rsp, {saved}",
                saved = out(reg) _, wild = in(reg) NOT_CANONICAL, turns = inout(reg) 100_000_u64 => _);
        }
    }
}

fn a_system_call_works_with_the_direction_flag_set() {
    let info = ulib::SysInfo::default();
    let result: isize;
    // SAFETY: the kernel writes as much as the structure is long; the flag is cleared again.
    unsafe {
        asm!("std", "syscall", "cld", inlateout("rax") Sysno::SysInfo.number() => result,
            in("rdi") &raw const info, in("rsi") size_of_val(&info), lateout("rcx") _, lateout("r11") _);
    }
    assert!(decode(result).is_ok());
    assert_eq!(
        core::hint::black_box(&info).total_frames,
        process::sysinfo().total_frames
    );
}

fn a_system_call_works_with_odd_flags_set() {
    const NESTED_TASK: u64 = 1 << 14;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    const ID: u64 = 1 << 21;
    for flags in [
        NESTED_TASK,
        ALIGNMENT_CHECK,
        ID,
        NESTED_TASK | ALIGNMENT_CHECK,
    ] {
        let result: isize;
        // SAFETY: the call touches no memory; the flags are cleared again.
        unsafe {
            asm!(
                "pushfq", "or [rsp], {flags}", "popfq",
                "syscall",
                "pushfq", "not {flags}", "and [rsp], {flags}", "popfq",
                flags = inout(reg) flags => _,
                inlateout("rax") Sysno::Yield.number() => result,
                lateout("rcx") _, lateout("r11") _,
            );
        }
        assert_eq!(result, 0, "flags {flags:#x}");
    }
}

fn a_system_call_works_with_odd_segments() {
    let result: isize;
    // SAFETY: 64-bit code uses none of the four as they are.
    unsafe {
        asm!("mov ds, {0:e}", "mov es, {0:e}", "mov fs, {0:e}", "mov gs, {0:e}", "syscall",
            in(reg) 0_u64, inlateout("rax") Sysno::GetPid.number() => result, lateout("rcx") _, lateout("r11") _);
    }
    assert_eq!(result, process::getpid() as isize);
    process::yield_now();
    let child: Pid = ok(process::start(|| 0));
    assert!(process::wait(child).is_ok());
}

fn a_fault_with_any_stack_pointer() {
    // SAFETY: this ends the process, which is the test.
    unsafe { asm!("mov rsp, {0}", "mov rax, [0]", in(reg) KERNEL_TEXT, options(noreturn)) };
}
