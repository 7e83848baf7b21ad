//! The registers with which a thread starts: what is taken of those that its creator asks for (exercise KERN-10B).

use core::arch::asm;

use abi::layout::USER_END;
use abi::{Sysno, ThreadRegisters};
use programs::found_registers::{FoundRegisters, find_registers, push_registers};
use ulib::thread;
use ulib::{Errno, process};

use crate::check::{KERNEL_TEXT, LONELY_PAGE_END, NOT_CANONICAL, lonely_page, ok};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;
use crate::thread_tools::{create_with, new_stack};

tests![
    create_thread_leaves_no_register_as_it_was,
    every_general_register_is_as_asked,
    an_instruction_pointer_outside_of_user_space_is_refused,
    a_stack_pointer_outside_of_user_space_is_refused,
    registers_at_a_bad_address_are_refused,
    no_segment_gives_a_right,
    only_harmless_flags_are_taken,
    a_tls_base_is_as_asked,
    a_tls_base_that_is_not_canonical_is_refused,
];

pub(crate) const TRAP: u64 = 1 << 8;
const INTERRUPTS: u64 = 1 << 9;
const DIRECTION: u64 = 1 << 10;
pub(crate) const ALIGNMENT_CHECK: u64 = 1 << 18;
const ID: u64 = 1 << 21;
/// CF, PF, AF, ZF, SF and OF.
const ARITHMETIC: u64 = 0x8d5;
/// Always reads as one.
pub(crate) const FIXED: u64 = 1 << 1;

/// A set with which `function` runs on a new stack.
pub(crate) fn registers_for(function: extern "C" fn() -> !) -> ThreadRegisters {
    ThreadRegisters {
        rip: function as *const () as u64,
        rsp: new_stack() as u64,
        ..ThreadRegisters::default()
    }
}

#[track_caller]
fn found(wanted: &ThreadRegisters) -> FoundRegisters {
    ok(find_registers(wanted))
}

fn create_thread_leaves_no_register_as_it_was() {
    let (stack_top, argument) = (new_stack(), 0x1234_5678_9abc_def0);
    let function = push_registers as *const () as usize;
    // SAFETY: the function runs on a new stack.
    let tid = unsafe { ulib::system_call::create_thread(function, argument, stack_top) };
    let place = ok(abi::decode(tid).and_then(|tid| thread::join(tid as ulib::Pid)));
    // SAFETY: the thread has put it there, on a stack that stays.
    let found = unsafe { (place as *const FoundRegisters).read_volatile() };
    let mut expected = [0; 15];
    expected[9] = argument as u64; // rdi
    assert_eq!(found.general, expected);
    assert_eq!(found.rflags, INTERRUPTS | FIXED);
    assert_eq!(place + size_of::<FoundRegisters>(), stack_top);
}

fn every_general_register_is_as_asked() {
    let value = |number: u64| number << 60 | 0xabc_def0 << 8 | number;
    let wanted = ThreadRegisters {
        r15: value(0),
        r14: value(1),
        r13: value(2),
        r12: value(3),
        r11: value(4),
        r10: value(5),
        r9: value(6),
        r8: value(7),
        rbp: value(8),
        rdi: value(9),
        rsi: value(10),
        rdx: value(11),
        rcx: value(12),
        rbx: value(13),
        rax: value(14),
        ..registers_for(push_registers)
    };
    let expected: [u64; 15] = core::array::from_fn(|index| value(index as u64));
    assert_eq!(found(&wanted).general, expected);
}

/// Checks that no thread is made with any of `sets`.
fn expect_refusal(sets: impl Iterator<Item = ThreadRegisters>) {
    let before = process::sysinfo().table_entries;
    for registers in sets {
        assert_eq!(
            create_with(&registers),
            Err(Errno::EINVAL),
            "{registers:#x?}"
        );
    }
    assert_eq!(process::sysinfo().table_entries, before);
}

fn an_instruction_pointer_outside_of_user_space_is_refused() {
    let base = registers_for(push_registers);
    let bad = [
        0,
        KERNEL_TEXT as u64,
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        NOT_CANONICAL as u64,
        USER_END as u64,
        u64::MAX,
    ];
    expect_refusal(bad.into_iter().map(|rip| ThreadRegisters { rip, ..base }));
}

fn a_stack_pointer_outside_of_user_space_is_refused() {
    let base = registers_for(push_registers);
    let bad = [
        0,
        KERNEL_TEXT as u64,
        0x7fff_ffff_fff8,
        0x8000_0000_0000,
        NOT_CANONICAL as u64,
        USER_END as u64 + 8,
        u64::MAX,
    ];
    expect_refusal(bad.into_iter().map(|rsp| ThreadRegisters { rsp, ..base }));
}

fn registers_at_a_bad_address_are_refused() {
    let _page = lonely_page();
    let reaching_out = LONELY_PAGE_END - size_of::<ThreadRegisters>() + 8;
    let bad = BAD_ADDRESSES.into_iter().map(|(_, address)| address);
    for address in bad.chain([reaching_out]) {
        // SAFETY: the kernel only reads.
        let made = unsafe { ulib::system_call::create_thread_registers(address as *const _) };
        assert_eq!(abi::decode(made), Err(Errno::EFAULT), "{address:#x}");
    }
}

fn own_segments() -> (u64, u64) {
    let (cs, ss);
    // SAFETY: the instructions only read the two registers.
    unsafe {
        asm!("mov {:e}, cs", "mov {:e}, ss", out(reg) cs, out(reg) ss,
            options(nomem, nostack, preserves_flags));
    }
    (cs, ss)
}

fn no_segment_gives_a_right() {
    let base = registers_for(push_registers);
    for selector in (0..0x40).chain([0xfff8, 0xffff, u64::MAX]) {
        let wanted = ThreadRegisters {
            cs: selector,
            ss: selector,
            ..base
        };
        let found = found(&wanted);
        assert_eq!((found.cs, found.ss), own_segments(), "{selector:#x}");
    }
}

/// Each flag alone: I/O privilege, no interrupts, nested task, resume, virtual 8086 mode and its two interrupt flags
/// give rights, or would stop the kernel; others have no meaning.
fn only_harmless_flags_are_taken() {
    let harmless = ARITHMETIC | DIRECTION | ALIGNMENT_CHECK | ID;
    let base = registers_for(push_registers);
    let all_but_trap = !TRAP;
    let alone = (0..64).map(|bit| 1 << bit).filter(|&flag| flag != TRAP);
    for rflags in alone.chain([0, all_but_trap]) {
        let found = found(&ThreadRegisters { rflags, ..base });
        let expected = rflags & harmless | INTERRUPTS | FIXED;
        assert_eq!(found.rflags, expected, "asked for {rflags:#x}");
    }
}

/// Ends the thread with the word at its base of FS.
#[unsafe(naked)]
pub(crate) extern "C" fn read_tls() -> ! {
    core::arch::naked_asm!(
        "mov rdi, fs:[0]",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

fn a_tls_base_is_as_asked() {
    let words = [0x1111_u64, 0x2222];
    for word in &words {
        let wanted = ThreadRegisters {
            tls_base: core::ptr::from_ref(word).expose_provenance() as u64,
            ..registers_for(read_tls)
        };
        let value = thread::join(ok(create_with(&wanted)));
        assert_eq!(value, Ok(*word as usize));
    }
}

fn a_tls_base_that_is_not_canonical_is_refused() {
    let base = registers_for(read_tls);
    let bad = [NOT_CANONICAL as u64, 1 << 62, 1 << 58, !(1 << 60)];
    expect_refusal(
        bad.into_iter()
            .map(|tls_base| ThreadRegisters { tls_base, ..base }),
    );
}
