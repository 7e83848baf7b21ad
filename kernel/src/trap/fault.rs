//! Faults: repaired by the address space where it can, otherwise a signal: a handler of the program runs, or the
//! process ends and a line says why.
//!
//! This is the glue between a page fault, which the processor reports, the current process, which `proc` knows, and its
//! address space in `mm`.

use core::fmt;

use abi::{ExitStatus, FaultKind, Signal};
use mm::addr::VirtAddr;
use mm::space::{FaultAccess, FaultError, Mapping, Protection};
use proc::registers::UserRegisters;
use proc::signal::deliver::{self, Cause, Undeliverable};
use proc::thread::Thread;
use x86_64::registers::control::Cr2;

/// Bits of a page fault's error code. Source: Intel SDM volume 3, 4.7.
const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 4;

/// The address whose access faulted. Read it before anything else can fault.
pub(crate) fn faulting_address() -> u64 {
    Cr2::read_raw()
}

fn access(error_code: u64) -> FaultAccess {
    FaultAccess {
        write: error_code & WRITE != 0,
        execute: error_code & EXECUTE != 0,
        user: error_code & USER != 0,
    }
}

/// Repairs a page fault of the kernel itself, which is fine in two cases: in a copy to or from user memory
/// (`mm::user`), and in a region of the thread's space that is the kernel's only.
///
/// # Errors
/// Why it cannot be repaired: then the kernel must not go on there.
pub(super) fn repair_for_kernel(
    address: u64,
    error_code: u64,
    is_user_copy: bool,
) -> Result<(), FaultError> {
    let address = VirtAddr::new(address);
    if !address.is_user() {
        // In its own half the kernel may do what the map says.
        return Err(match error_code & PRESENT {
            0 => FaultError::MissingPage,
            _ => FaultError::Permission,
        });
    }
    let current = proc::sched::current();
    let space = current.space();
    let mut access = access(error_code);
    if is_user_copy {
        // For a user, who cannot reach what is the kernel's.
        access.user = true;
        return space.exception(address, access);
    }
    // SMAP and SMEP keep the kernel from what users may access. Such a fault would come again and again.
    let mapping = space.paging().and_then(|space| space.mapping(address));
    let is_users = |mapping: Mapping| !mapping.region.protection.contains(Protection::KERNEL);
    if mapping.is_some_and(is_users) {
        return Err(FaultError::Privilege);
    }
    space.exception(address, access)
}

/// Handles a page fault of a user program: repairs it, calls a signal handler, or ends the process.
pub(super) fn handle_page_fault(thread: &Thread, registers: &mut UserRegisters, address: u64) {
    let space = thread.space();
    if let Err(reason) = space.exception(VirtAddr::new(address), access(registers.error_code)) {
        let cause = Cause {
            signal: Signal::SIGSEGV,
            address,
            kind: kind(reason),
        };
        let text = describe(address, registers.error_code, registers.rip, reason);
        raise(thread, registers, cause, format_args!("{text}"));
    }
}

/// Calls a signal handler for any other exception of a thread, or ends its process.
pub(super) fn handle_exception(thread: &Thread, registers: &mut UserRegisters) {
    let signal = match registers.vector {
        0 | 4 | 16 | 19 => Signal::SIGFPE,
        1 | 3 => Signal::SIGTRAP,
        6 => Signal::SIGILL,
        17 => Signal::SIGBUS,
        _ => Signal::SIGSEGV,
    };
    let (name, rip) = (name(registers.vector), registers.rip);
    let cause = Cause {
        signal,
        address: rip,
        kind: FaultKind::NotPageFault,
    };
    let what = format_args!("{name} at instruction {rip:#x}");
    raise(thread, registers, cause, what);
}

/// Calls the signal handler for a fault, or ends the process.
fn raise(thread: &Thread, registers: &mut UserRegisters, cause: Cause, what: fmt::Arguments<'_>) {
    match deliver::raise(thread, registers, cause) {
        Ok(()) => {}
        Err(Undeliverable::NoHandler) => end(thread, cause.signal, what),
        Err(reason) => end(thread, cause.signal, format_args!("{what}, {reason}")),
    }
}

/// Ends the process of a thread whose signal handler cannot be called.
pub(super) fn end_undeliverable(thread: &Thread, reason: Undeliverable) {
    end(thread, Signal::SIGSEGV, format_args!("a signal, {reason}"));
}

/// What a signal handler is told of a page fault.
fn kind(reason: FaultError) -> FaultKind {
    match reason {
        FaultError::Privilege => FaultKind::Privilege,
        FaultError::MissingPage => FaultKind::MissingPage,
        FaultError::Permission => FaultKind::Permission,
        FaultError::NoMemory => FaultKind::NoMemory,
        FaultError::Unreadable => FaultKind::Unreadable,
    }
}

/// Says on console and log why the process ends, and ends it.
fn end(thread: &Thread, signal: Signal, why: fmt::Arguments<'_>) {
    if let Some(process) = thread.process() {
        let (id, name) = (process.id(), process.name());
        smp::log!("process {id} ({name}) killed by {}: {why}", signal.name());
        crate::device::console::message(format_args!(
            "process {id} ({name}) killed by {}: {why}\n",
            signal.name()
        ));
        proc::exit::end_process(process, ExitStatus::killed(signal));
    }
}

/// What a page fault was about: its class, the access, the address and the instruction.
pub(crate) struct PageFault {
    address: u64,
    error_code: u64,
    rip: u64,
    /// What the address space says of it.
    reason: FaultError,
}

/// Describes a page fault for people.
pub(super) fn describe(address: u64, error_code: u64, rip: u64, reason: FaultError) -> PageFault {
    PageFault {
        address,
        error_code,
        rip,
        reason,
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match () {
            () if self.error_code & EXECUTE != 0 => "execute",
            () if self.error_code & WRITE != 0 => "write",
            () => "read",
        };
        let (class, address, rip) = (self.reason, self.address, self.rip);
        write!(
            formatter,
            "page fault ({class}) on {access} of address {address:#x} at instruction {rip:#x}"
        )
    }
}

/// The name of an exception.
pub(crate) fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        _ => "unknown exception",
    }
}
