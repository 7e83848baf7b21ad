//! Signals that cannot be handled as they should, and handlers that do not return.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Sysno;
use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Errno, ExitStatus, MapFlags, Protection, Signal, process, signal};

use crate::caught::{self, catch, in_handler};
use crate::check::{
    AREA_START, KERNEL_TEXT, NOT_CANONICAL, UNMAPPED, expect_fatal, join, ok, peek, start,
    status_of,
};
use crate::runner::tests;
use crate::signals::sigaction;

tests![
    a_page_fault_in_a_handler dies_by SIGSEGV,
    a_division_error_in_a_handler dies_by SIGFPE,
    a_handler_where_nothing_is_mapped dies_by SIGSEGV,
    a_handler_that_is_not_executable dies_by SIGSEGV,
    a_stack_that_cannot_be_written_ends_the_process,
    a_fault_on_a_stack_that_cannot_be_written_ends_the_process,
    a_stack_grows_for_a_handler,
    after_a_handler_is_left_by_a_jump_signals_are_refused,
    after_a_handler_is_left_by_a_jump_a_fault_ends_the_process,
    a_jump_to_where_no_code_can_be_never_harms_the_kernel,
];

fn a_page_fault_in_a_handler() {
    catch(&[Signal::SIGSEGV]);
    in_handler(|| {
        peek(UNMAPPED);
    });
}

fn a_division_error_in_a_handler() {
    catch(&[Signal::SIGFPE]);
    // SAFETY: this ends the process, which is the test.
    in_handler(|| unsafe {
        asm!("div {0}", in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _);
    });
}

#[track_caller]
fn raise_with_handler_at(address: usize) {
    // One that could be called for what comes of it.
    catch(&[Signal::SIGSEGV]);
    ok(sigaction(Signal::SIGUSR1.number(), address));
    ok(process::kill(process::getpid(), Signal::SIGUSR1));
}

fn a_handler_where_nothing_is_mapped() {
    raise_with_handler_at(UNMAPPED);
}

fn a_handler_that_is_not_executable() {
    static mut RETURN_INSTRUCTION: u8 = 0xc3;
    raise_with_handler_at((&raw const RETURN_INSTRUCTION).addr());
}

/// Sends a signal to this process with another stack pointer, which is put back afterwards.
fn raise_with_stack_pointer(stack_pointer: usize) {
    // SAFETY: the stack is not used until its pointer is back; a handler uses the other one, or cannot.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "mov rsp, {other}",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            other = in(reg) stack_pointer,
            inlateout("rax") Sysno::Kill.number() => _,
            in("rdi") process::getpid() as usize,
            in("rsi") Signal::SIGUSR1.number() as usize,
            lateout("rcx") _, lateout("r11") _,
        );
    }
}

/// Stack pointers below which nobody can write.
const BAD_STACK_POINTERS: [usize; 7] = [
    0,
    1,
    KERNEL_TEXT,
    0x7fff_ffff_f000,
    NOT_CANONICAL,
    UNMAPPED,
    usize::MAX,
];

fn read_only_page() -> Mapping {
    let request = MapRequest::anonymous(PAGE_SIZE).protection(Protection::READ);
    ok(Mapping::new(&request))
}

/// A handler that could run without any stack.
#[unsafe(naked)]
extern "C" fn exit_at_once(_signal: i32, _address: usize, _kind: usize) {
    naked_asm!("xor edi, edi", "mov eax, {exit}", "syscall", "ud2", exit = const Sysno::Exit as usize)
}

#[track_caller]
fn exit_when_handled(signals: &[Signal]) {
    for &signal in signals {
        ok(signal::handle(signal, Some(exit_at_once)));
    }
}

fn a_stack_that_cannot_be_written_ends_the_process() {
    exit_when_handled(&[Signal::SIGUSR1, Signal::SIGSEGV]);
    for stack_pointer in BAD_STACK_POINTERS {
        expect_fatal("a bad stack", || raise_with_stack_pointer(stack_pointer));
    }
    let page = read_only_page();
    expect_fatal("a read-only stack", || {
        raise_with_stack_pointer(page.address() + PAGE_SIZE);
    });
}

fn a_fault_on_a_stack_that_cannot_be_written_ends_the_process() {
    exit_when_handled(&[Signal::SIGSEGV]);
    let page = read_only_page();
    for stack_pointer in BAD_STACK_POINTERS
        .into_iter()
        .chain([page.address() + PAGE_SIZE])
    {
        // SAFETY: this ends the process, which is the test.
        expect_fatal("a bad stack", || unsafe {
            asm!("mov rsp, {0}", "mov rax, [{1}]", in(reg) stack_pointer, in(reg) UNMAPPED, options(noreturn));
        });
    }
}

/// All that is put on it lies below what is mapped at first.
fn a_stack_grows_for_a_handler() {
    catch(&[Signal::SIGUSR1]);
    let stack = MapRequest::anonymous(PAGE_SIZE)
        .at(AREA_START)
        .flags(MapFlags::GROW_DOWN)
        .limit(16 * PAGE_SIZE);
    let stack = ok(Mapping::new(&stack));
    raise_with_stack_pointer(stack.address() + 16);
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
}

/// The stack pointer in [`raise_and_be_jumped_to`].
static STACK_POINTER: AtomicU64 = AtomicU64::new(0);

/// Sends `signal` to the process `pid`, the caller's, whose handler is [`jump_away`].
#[unsafe(naked)]
extern "C" fn raise_and_be_jumped_to(pid: usize, signal: usize) {
    naked_asm!(
        "push rbx; push rbp; push r12; push r13; push r14; push r15",
        "mov [rip + {stack_pointer}], rsp",
        "mov eax, {kill}",
        "syscall",
        "ud2",
        stack_pointer = sym STACK_POINTER,
        kill = const Sysno::Kill as usize,
    )
}

/// A handler that does not return: it goes on where [`raise_and_be_jumped_to`] was called.
#[unsafe(naked)]
extern "C" fn jump_away(_signal: i32, _address: usize, _kind: usize) {
    naked_asm!(
        "mov rsp, [rip + {stack_pointer}]",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        stack_pointer = sym STACK_POINTER,
    )
}

#[track_caller]
fn leave_a_handler_by_a_jump() {
    catch(&[Signal::SIGUSR2, Signal::SIGSEGV]);
    ok(signal::handle(Signal::SIGUSR1, Some(jump_away)));
    raise_and_be_jumped_to(
        process::getpid() as usize,
        Signal::SIGUSR1.number() as usize,
    );
}

fn after_a_handler_is_left_by_a_jump_signals_are_refused() {
    leave_a_handler_by_a_jump();
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        let refused = process::kill(process::getpid(), signal);
        assert_eq!(refused, Err(Errno::EAGAIN));
    }
    // Everything else goes on.
    process::sleep_ms(1);
    join(start(|| ()));
    assert_eq!(caught::signals(), []);
    let status = status_of(|| {
        ok(process::kill(process::getpid(), Signal::SIGKILL));
        0
    });
    assert_eq!(status, ExitStatus::killed(Signal::SIGKILL));
}

fn after_a_handler_is_left_by_a_jump_a_fault_ends_the_process() {
    leave_a_handler_by_a_jump();
    expect_fatal("a fault", || {
        peek(UNMAPPED);
    });
}

/// Processors differ in where they find the mistake: at the jump, so that the handler returns to that, or behind it.
fn a_jump_to_where_no_code_can_be_never_harms_the_kernel() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn return_twice(_signal: i32, _address: usize, _kind: usize) {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 2 {
            process::exit(RETURNED_TWICE);
        }
    }
    const RETURNED_TWICE: i32 = 3;
    for address in [NOT_CANONICAL, 0x0200_0000_0000_0000, 0xfe00_0000_0000_0000] {
        let status = status_of(|| {
            ok(signal::handle(Signal::SIGSEGV, Some(return_twice)));
            // SAFETY: there is nothing to jump to: a handler runs, or the process ends.
            unsafe { asm!("jmp {0}", in(reg) address, options(noreturn)) }
        });
        let expected = [
            ExitStatus::exited(RETURNED_TWICE),
            ExitStatus::killed(Signal::SIGSEGV),
        ];
        assert!(expected.contains(&status), "{address:#x}: {status}");
    }
}
