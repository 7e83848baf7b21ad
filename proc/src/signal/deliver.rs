//! Taking signals and returning from handlers: what a thread does on its way to user mode.

use core::fmt;

use abi::layout::{RED_ZONE_LEN, SIGNAL_RETURN};
use abi::{ExitStatus, FaultKind, Signal};
use mm::addr::VirtAddr;
use mm::user::UserPtr;
use smp::fiber::{FpuState, HasFiber};

use crate::exit;
use crate::registers::UserRegisters;
use crate::thread::Thread;

/// Why a handler is called: its three arguments.
#[derive(Copy, Clone, Debug)]
pub struct Cause {
    /// The signal.
    pub signal: Signal,
    /// The address of the fault; 0 if there was none.
    pub address: u64,
    /// The kind of the fault.
    pub kind: FaultKind,
}

/// Why no handler could be called, so that the process has to end.
#[must_use]
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Undeliverable {
    /// There is none.
    NoHandler,
    /// The thread is in a handler.
    InHandler,
    /// The stack of the thread cannot be written.
    BadStack,
    /// The thread is where no code can be. Some processors let it get there, and none lets the kernel send it back.
    Nowhere,
}

impl fmt::Display for Undeliverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undeliverable::NoHandler => "without a handler",
            Undeliverable::InHandler => "in a signal handler",
            Undeliverable::BadStack => "with no stack for the signal handler",
            Undeliverable::Nowhere => "where no signal handler could return to",
        })
    }
}

/// Does what signals ask of `thread`, which calls this on its way to user mode with `registers`: leaves the handler
/// that it is in, if it wants that, and then goes into another one.
///
/// # Errors
/// Why a handler cannot be called.
pub fn deliver(thread: &Thread, registers: &mut UserRegisters) -> Result<(), Undeliverable> {
    if thread.attention.wants_to_leave_handler() {
        leave_handler(thread, registers);
    }
    let Some(process) = thread.process() else {
        return Ok(());
    };
    while let Some(signal) = thread.attention.begin_signal() {
        if let Some(handler) = process.handlers.get(signal) {
            let cause = Cause {
                signal,
                address: 0,
                kind: FaultKind::NotPageFault,
            };
            return enter_handler(thread, registers, handler, cause);
        }
        // SIGNAL-3.
        thread.attention.leave_handler();
        if signal != Signal::SIGCHLD {
            exit::end_process(process, ExitStatus::killed(signal));
        }
    }
    Ok(())
}

/// Calls the handler for a fault of `thread`, which has come to the kernel with `registers`.
///
/// # Errors
/// Why it cannot be called: then the thread must not go on.
pub fn raise(
    thread: &Thread,
    registers: &mut UserRegisters,
    cause: Cause,
) -> Result<(), Undeliverable> {
    let handler = thread
        .process()
        .and_then(|process| process.handlers.get(cause.signal))
        .ok_or(Undeliverable::NoHandler)?;
    if !VirtAddr::new(registers.rip).is_canonical() {
        return Err(Undeliverable::Nowhere);
    }
    thread
        .attention
        .begin_fault()
        .map_err(|_| Undeliverable::InHandler)?;
    enter_handler(thread, registers, handler, cause)
}

/// `sigreturn`, by which `thread`, which calls this, leaves its handler on its way to user mode. Outside of one it does
/// nothing.
pub fn ask_to_leave_handler(thread: &Thread) {
    if thread.attention.is_in_handler() {
        thread.attention.ask_to_leave_handler();
    }
}

/// Whether `thread` has come to the kernel by returning from its handler, with a page fault at `registers`.
pub fn has_returned(thread: &Thread, registers: &UserRegisters) -> bool {
    registers.rip == SIGNAL_RETURN as u64 && thread.attention.is_in_handler()
}

/// Restores the registers of a thread that leaves its handler (SIGNAL-1).
pub fn leave_handler(thread: &Thread, registers: &mut UserRegisters) {
    // SIGNAL-2.
    if let Some(context) = &*thread.signal_context.lock() {
        registers.clone_from(&context.registers);
        thread.fiber().replace_fpu(&context.fpu);
    }
    thread.attention.leave_handler();
}

/// Puts the registers aside and lets the thread go on in the handler.
fn enter_handler(
    thread: &Thread,
    registers: &mut UserRegisters,
    handler: usize,
    cause: Cause,
) -> Result<(), Undeliverable> {
    put_aside(thread, registers);
    // As after a call: the return address lies 8 bytes below a multiple of 16.
    let below = registers.rsp.wrapping_sub(RED_ZONE_LEN as u64);
    let stack_pointer = (below & !15).wrapping_sub(8);
    UserPtr::new(stack_pointer as usize)
        .write(SIGNAL_RETURN)
        .map_err(|_| Undeliverable::BadStack)?;
    let arguments = [
        cause.signal.number() as u64,
        cause.address,
        cause.kind.number() as u64,
    ];
    registers.call(handler as u64, stack_pointer, arguments);
    FpuState::prepare_for_call();
    Ok(())
}

/// Keeps what the thread goes back to (SIGNAL-2).
fn put_aside(thread: &Thread, registers: &UserRegisters) {
    let Some(context) = &mut *thread.signal_context.lock() else {
        unreachable!("SIGNAL-4: a thread of a process with handlers has no context")
    };
    context.registers.clone_from(registers);
    context.fpu.save_current();
}
