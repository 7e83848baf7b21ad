//! Rights that a thread's creator asks for, in its registers, and that the thread then does not have (exercise
//! KERN-10B).

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Sysno, ThreadRegisters};
use ulib::{process, thread};

use crate::check::{KERNEL_TEXT, expect_fatal, ok};
use crate::runner::tests;
use crate::thread_registers::{ALIGNMENT_CHECK, FIXED, TRAP, read_tls, registers_for};
use crate::thread_tools::{create_with, yield_until};

tests![
    asking_for_the_kernels_segments_gives_none_of_its_rights,
    asking_for_io_privilege_gives_no_io,
    asking_for_no_interrupts_does_not_stop_them,
    a_nested_task_that_was_asked_for_returns_nowhere,
    alignment_checks_that_were_asked_for_harm_nobody,
    a_thread_may_start_with_single_steps dies_by SIGTRAP,
    a_tls_base_in_the_kernel_reaches_nothing,
];

const IO_PRIVILEGE: u64 = 3 << 12;
const NESTED_TASK: u64 = 1 << 14;

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

/// Starts a thread that asks for `wanted`, and waits until it ends the process.
fn run(wanted: &ThreadRegisters) {
    let tid = ok(create_with(wanted));
    let _ = thread::join(tid);
    unreachable!("the thread ends the process");
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
    let word = AtomicU32::new(0);
    let wanted = ThreadRegisters {
        rdi: word.as_ptr() as u64,
        rflags: FIXED, // and not INTERRUPTS
        ..registers_for(spin)
    };
    let tid = ok(create_with(&wanted));
    yield_until(|| word.load(Ordering::Relaxed) == 1);
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
