//! The registers with which a thread starts, among them those that a program must not choose (exercise KERN-10B).

use core::arch::asm;

use abi::layout::USER_END;
use abi::{Sysno, ThreadRegisters};
use ulib::thread;
use ulib::{Errno, process};

use crate::check::{KERNEL_TEXT, LONELY_PAGE_END, NOT_CANONICAL, expect_fatal, lonely_page, ok};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;
use crate::thread_tools::{create_with, new_stack, yield_until};

tests![
    create_thread_leaves_no_register_as_it_was,
    every_general_register_is_as_asked,
    an_instruction_pointer_outside_of_user_space_is_refused,
    a_stack_pointer_outside_of_user_space_is_refused,
    registers_at_a_bad_address_are_refused,
    no_segment_gives_a_right,
    only_harmless_flags_are_taken,
    asking_for_the_kernels_segments_gives_none_of_its_rights,
    asking_for_io_privilege_gives_no_io,
    asking_for_no_interrupts_does_not_stop_them,
    a_nested_task_that_was_asked_for_returns_nowhere,
    alignment_checks_that_were_asked_for_harm_nobody,
    a_thread_may_start_with_single_steps dies_by SIGTRAP,
    a_tls_base_is_as_asked,
    a_tls_base_that_is_not_canonical_is_refused,
    a_tls_base_in_the_kernel_reaches_nothing,
];

const TRAP: u64 = 1 << 8;
const INTERRUPTS: u64 = 1 << 9;
const DIRECTION: u64 = 1 << 10;
const IO_PRIVILEGE: u64 = 3 << 12;
const NESTED_TASK: u64 = 1 << 14;
const ALIGNMENT_CHECK: u64 = 1 << 18;
const ID: u64 = 1 << 21;
/// CF, PF, AF, ZF, SF and OF.
const ARITHMETIC: u64 = 0x8d5;
/// Always reads as one.
const FIXED: u64 = 1 << 1;

/// What [`push_registers`] leaves on the stack, last first.
#[repr(C)]
#[derive(Copy, Clone, Debug)]
struct Found {
    ss: u64,
    cs: u64,
    rflags: u64,
    /// From r15 to r8, then rbp, rdi, rsi, rdx, rcx, rbx, rax.
    general: [u64; 15],
}

/// Pushes all registers and ends the thread with its stack pointer as value.
#[unsafe(naked)]
extern "C" fn push_registers() -> ! {
    core::arch::naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "pushfq",
        "mov eax, cs",
        "push rax",
        "mov eax, ss",
        "push rax",
        "mov rdi, rsp",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

/// A function that is one instruction, and ends the process well if that gets through.
macro_rules! one_instruction {
    ($($name:ident: $instruction:literal;)+) => {
        $(#[unsafe(naked)]
        extern "C" fn $name() -> ! {
            core::arch::naked_asm!(
                $instruction,
                "xor edi, edi",
                "mov eax, {exit}",
                "syscall",
                "ud2",
                exit = const Sysno::Exit as usize,
            )
        })+
    };
}

one_instruction! {
    forbid_interrupts: "cli";
    read_port: "in al, 0x60";
    read_page_table: "mov rax, cr3";
    do_nothing: "nop";
}

/// A set with which `function` runs on a new stack.
fn registers_for(function: extern "C" fn() -> !) -> ThreadRegisters {
    ThreadRegisters {
        rip: function as *const () as u64,
        rsp: new_stack() as u64,
        ..ThreadRegisters::default()
    }
}

/// What a thread that was asked for with `wanted` finds. Its first instruction must be that of `push_registers`.
#[track_caller]
fn found(wanted: &ThreadRegisters) -> Found {
    let tid = ok(create_with(wanted));
    let place = ok(thread::join(tid));
    assert_eq!(place + size_of::<Found>(), wanted.rsp as usize);
    // SAFETY: the thread has put it there, on a stack that stays.
    unsafe { (place as *const Found).read_volatile() }
}

/// Starts a thread that asks for `wanted`, and waits until it ends the process.
fn run(wanted: &ThreadRegisters) {
    let tid = ok(create_with(wanted));
    let _ = thread::join(tid);
    unreachable!("the thread ends the process");
}

fn create_thread_leaves_no_register_as_it_was() {
    let (stack_top, argument) = (new_stack(), 0x1234_5678_9abc_def0);
    let function = push_registers as *const () as usize;
    // SAFETY: the function runs on a new stack.
    let tid = unsafe { ulib::system_call::create_thread(function, argument, stack_top) };
    let place = ok(abi::decode(tid).and_then(|tid| thread::join(tid as ulib::Pid)));
    // SAFETY: the thread has put it there, on a stack that stays.
    let found = unsafe { (place as *const Found).read_volatile() };
    let mut expected = [0; 15];
    expected[9] = argument as u64; // rdi
    assert_eq!(found.general, expected);
    assert_eq!(found.rflags, INTERRUPTS | FIXED);
    assert_eq!(place + size_of::<Found>(), stack_top);
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

/// Each flag alone: I/O privilege, no interrupts, nested task, resume, virtual 8086 mode and its two interrupt flags give
/// rights, or would stop the kernel; others have no meaning.
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

fn asking_for_the_kernels_segments_gives_none_of_its_rights() {
    for (cs, ss) in [(0x08, 0x10), (0x10, 0x18), (0x20, 0x18), (0, 0)] {
        for function in [forbid_interrupts, read_page_table] {
            expect_fatal("a privileged instruction", || {
                run(&ThreadRegisters {
                    cs,
                    ss,
                    ..registers_for(function)
                });
            });
        }
    }
}

fn asking_for_io_privilege_gives_no_io() {
    for function in [forbid_interrupts, read_port] {
        expect_fatal("an instruction of a driver", || {
            run(&ThreadRegisters {
                rflags: IO_PRIVILEGE,
                ..registers_for(function)
            });
        });
    }
}

/// Sets the word at its argument, and then does nothing but run.
#[unsafe(naked)]
extern "C" fn spin() -> ! {
    core::arch::naked_asm!("mov dword ptr [rdi], 1", "2:", "pause", "jmp 2b")
}

/// Both threads have one CPU: whoever starts it, runs again only if the other one is interrupted.
fn asking_for_no_interrupts_does_not_stop_them() {
    process::pin(0);
    let word = core::sync::atomic::AtomicU32::new(0);
    let wanted = ThreadRegisters {
        rdi: word.as_ptr() as u64,
        rflags: FIXED, // and not INTERRUPTS
        ..registers_for(spin)
    };
    let tid = ok(create_with(&wanted));
    yield_until(|| word.load(core::sync::atomic::Ordering::Relaxed) == 1);
    process::yield_now();
    assert_eq!(thread::poll_join(tid), Ok(None));
}

/// Makes many system calls, and ends the process well.
#[unsafe(naked)]
extern "C" fn yield_often() -> ! {
    core::arch::naked_asm!(
        "mov ebx, 100",
        "2:",
        "mov eax, {yield_now}",
        "syscall",
        "dec ebx",
        "jnz 2b",
        "mov edi, 0",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        yield_now = const Sysno::Yield as usize,
        exit = const Sysno::Exit as usize,
    )
}

fn a_nested_task_that_was_asked_for_returns_nowhere() {
    run(&ThreadRegisters {
        rflags: NESTED_TASK,
        ..registers_for(yield_often)
    });
}

/// Reads and writes words across their boundaries, has the kernel read such memory, and ends the process well.
#[unsafe(naked)]
extern "C" fn use_odd_addresses() -> ! {
    core::arch::naked_asm!(
        "inc qword ptr [rsp - 15]",
        "xor edi, edi",
        "lea rsi, [rsp - 21]",
        "mov edx, 9",
        "mov eax, {set_affinity}",
        "mov byte ptr [rsi], 1",
        "syscall",
        "mov rdi, rax",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        set_affinity = const Sysno::SetAffinity as usize,
        exit = const Sysno::Exit as usize,
    )
}

fn alignment_checks_that_were_asked_for_harm_nobody() {
    run(&ThreadRegisters {
        rflags: ALIGNMENT_CHECK,
        ..registers_for(use_odd_addresses)
    });
}

fn a_thread_may_start_with_single_steps() {
    run(&ThreadRegisters {
        rflags: TRAP,
        ..registers_for(do_nothing)
    });
}

/// Ends the thread with the word at its base of FS.
#[unsafe(naked)]
extern "C" fn read_tls() -> ! {
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

fn a_tls_base_in_the_kernel_reaches_nothing() {
    for tls_base in [KERNEL_TEXT as u64, 0] {
        expect_fatal("memory of the kernel", || {
            run(&ThreadRegisters {
                tls_base,
                ..registers_for(read_tls)
            });
        });
    }
}
