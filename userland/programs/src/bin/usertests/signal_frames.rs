//! How a handler is called and how it returns: the stack, and the registers.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicBool, Ordering};

use abi::layout::{RED_ZONE_LEN, SIGNAL_RETURN};
use abi::{Errno, Sysno, decode};
use programs::all_registers::{self, handler};
use ulib::signal::Handler;
use ulib::{ExitStatus, Signal, process, signal, system_call};

use crate::caught::{self, catch, interrupt};
use crate::check::{UNMAPPED, ok, peek, status_of};
use crate::float::has_avx;
use crate::runner::tests;
use crate::thread_tools::spawn;

tests![
    registers_survive_a_signal_to_a_thread_that_spins,
    registers_survive_a_signal_that_comes_with_a_system_call,
    registers_survive_a_signal_that_ends_a_wait,
    registers_survive_a_fault,
    registers_survive_a_breakpoint,
    wide_vector_registers_survive_a_breakpoint,
    a_handler_is_called_like_a_function,
    a_handlers_stack_begins_below_the_red_zone,
    sigreturn_outside_of_a_handler_does_nothing,
    the_address_that_handlers_return_to_is_not_for_others,
];

/// Both leave other values in all registers. The second also overwrites its return address and its stack, so that what
/// the thread goes back to can only come from the kernel.
const HANDLERS: [Handler; 2] = [
    handler::return_with_other_registers,
    handler::sigreturn_with_nothing_left,
];
/// Of the patterns for all registers. Some have the direction flag set.
const SEEDS: core::ops::Range<u64> = 1..6;

#[track_caller]
fn for_each_handler_and_seed(handled: Signal, check: impl Fn(u64)) {
    for handler in HANDLERS {
        ok(signal::handle(handled, Some(handler)));
        SEEDS.for_each(&check);
    }
}

fn registers_survive_a_signal_to_a_thread_that_spins() {
    let spinner = process::gettid();
    for_each_handler_and_seed(Signal::SIGUSR1, |seed| {
        all_registers::reset();
        let sender = spawn(move || {
            caught::wait_until("it spins", all_registers::is_loaded);
            ok(process::kill(spinner, Signal::SIGUSR1));
        });
        assert_eq!(all_registers::changed_while_spinning(seed), None);
        sender.join();
    });
}

fn registers_survive_a_signal_that_comes_with_a_system_call() {
    for_each_handler_and_seed(Signal::SIGUSR1, |seed| {
        let arguments = [
            process::getpid() as usize,
            Signal::SIGUSR1.number() as usize,
        ];
        // SAFETY: the call touches no memory.
        let (result, changed) =
            unsafe { all_registers::changed_by_system_call(seed, Sysno::Kill, arguments) };
        assert_eq!((result, changed), (0, None));
    });
}

fn registers_survive_a_signal_that_ends_a_wait() {
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let sleeper = process::gettid();
    for_each_handler_and_seed(Signal::SIGUSR1, |seed| {
        all_registers::reset();
        IS_OVER.store(false, Ordering::Relaxed);
        let sender = spawn(move || {
            caught::wait_until("it is about to sleep", all_registers::is_loaded);
            // Relaxed, here and below: nothing else follows from it.
            interrupt(sleeper, Signal::SIGUSR1, || IS_OVER.load(Ordering::Relaxed));
        });
        // SAFETY: the call touches no memory.
        let (result, changed) =
            unsafe { all_registers::changed_by_system_call(seed, Sysno::SleepMs, [1_000_000, 0]) };
        IS_OVER.store(true, Ordering::Relaxed);
        assert_eq!((decode(result), changed), (Err(Errno::EINTR), None));
        sender.join();
    });
}

fn registers_survive_a_fault() {
    for_each_handler_and_seed(Signal::SIGSEGV, |seed| {
        // Each time a page that is not there.
        let address = UNMAPPED + all_registers::stored_word(seed) as usize % (1 << 30) / 8 * 8;
        // SAFETY: the handler maps a page there, which nobody else uses.
        let changed = unsafe { all_registers::changed_by_store(seed, address) };
        assert_eq!(changed, None);
        assert_eq!(peek(address), all_registers::stored_word(seed));
        // SAFETY: nothing uses it any more.
        ok(unsafe { ulib::memory::page_free(address / 4096 * 4096, 1) });
    });
}

fn registers_survive_a_breakpoint() {
    for_each_handler_and_seed(Signal::SIGTRAP, |seed| {
        assert_eq!(all_registers::changed_by_breakpoint(seed), None);
    });
}

/// A handler that clears the vector registers, their upper halves too.
#[unsafe(naked)]
extern "C" fn clear_vector_registers(_signal: i32, _address: usize, _kind: usize) {
    naked_asm!("vzeroall", "ret")
}

fn wide_vector_registers_survive_a_breakpoint() {
    if !has_avx() {
        return;
    }
    ok(signal::handle(
        Signal::SIGTRAP,
        Some(clear_vector_registers),
    ));
    let (seed, mut upper) = (0x0123_4567_89ab_cdef_u64, [0_u64; 2]);
    // SAFETY: the registers are declared as changed; `has_avx` has said that the instructions exist.
    unsafe {
        asm!(
            "vmovq xmm0, {seed}",
            "vinsertf128 ymm0, ymm0, xmm0, 1",
            "vmovaps ymm15, ymm0",
            "int3",
            "vextractf128 xmm0, ymm0, 1",
            "vextractf128 xmm15, ymm15, 1",
            "vmovq [{upper}], xmm0",
            "vmovq [{upper} + 8], xmm15",
            "vzeroupper",
            seed = in(reg) seed,
            upper = in(reg) &raw mut upper,
            out("xmm0") _, out("xmm15") _,
        );
    }
    assert_eq!(upper, [seed; 2]);
}

fn a_handler_is_called_like_a_function() {
    const DIRECTION_FLAG: u64 = 1 << 10;
    const SINGLE_STEP_FLAG: u64 = 1 << 8;
    for_each_handler_and_seed(Signal::SIGTRAP, |seed| {
        assert_eq!(all_registers::changed_by_breakpoint(seed), None);
        let entry = handler::entry();
        assert_eq!(entry.stack_pointer % 16, 8, "{entry:x?}");
        assert_eq!(entry.return_address, SIGNAL_RETURN as u64);
        assert_eq!(entry.flags & (DIRECTION_FLAG | SINGLE_STEP_FLAG), 0);
        // As the x86-64 ABI has it: no value in the x87 registers, all exceptions masked, rounding to nearest.
        let float = (entry.x87_control, entry.x87_tags, entry.mxcsr);
        assert_eq!(float, (0x37f, 0xffff, 0x1f80));
    });
}

/// Sends a signal to this process with the stack pointer so many bytes lower; returns what it was.
fn raise_below(len: usize) -> u64 {
    let stack_pointer;
    // SAFETY: what lies there is nobody's, and the stack pointer is put back.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "sub rsp, {len}",
            "mov {stack_pointer}, rsp",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            stack_pointer = out(reg) stack_pointer,
            len = in(reg) len,
            inlateout("rax") Sysno::Kill.number() => _,
            in("rdi") process::getpid() as usize,
            in("rsi") Signal::SIGUSR1.number() as usize,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    stack_pointer
}

fn a_handlers_stack_begins_below_the_red_zone() {
    ok(signal::handle(
        Signal::SIGUSR1,
        Some(handler::return_with_other_registers),
    ));
    // Below what the compiler has in the red zone of this function.
    for len in 256..256 + 32 {
        let interrupted = raise_below(len);
        let entry = handler::entry();
        assert_eq!(entry.stack_pointer % 16, 8, "{entry:x?}");
        let end = entry.stack_pointer + 8 + RED_ZONE_LEN as u64;
        assert!(
            end <= interrupted,
            "{entry:x?}, interrupted at {interrupted:#x}"
        );
    }
}

fn sigreturn_outside_of_a_handler_does_nothing() {
    for seed in SEEDS {
        // SAFETY: it does nothing.
        let (result, changed) =
            unsafe { all_registers::changed_by_system_call(seed, Sysno::SigReturn, [0; 2]) };
        assert_eq!((result, changed), (0, None));
    }
    // Nor after a handler that has returned.
    catch(&[Signal::SIGUSR1]);
    for count in 1..=3 {
        ok(process::kill(process::getpid(), Signal::SIGUSR1));
        // SAFETY: as above.
        assert_eq!(unsafe { system_call::sigreturn() }, 0);
        assert_eq!(caught::all().count(), count);
    }
}

fn the_address_that_handlers_return_to_is_not_for_others() {
    let go_there = || {
        // SAFETY: this ends the process, which is the test.
        unsafe { asm!("jmp {0}", in(reg) SIGNAL_RETURN, options(noreturn)) }
    };
    let killed = ExitStatus::killed(Signal::SIGSEGV);
    assert_eq!(status_of(go_there), killed);
    // A handler is told, and has done nothing about it when it returns: the second time it comes here, so it says.
    extern "C" fn judge(_: i32, address: usize, _: usize) {
        process::exit(i32::from(address != SIGNAL_RETURN));
    }
    ok(signal::handle(Signal::SIGSEGV, Some(judge)));
    assert_eq!(status_of(go_there), ExitStatus::exited(0));
}
