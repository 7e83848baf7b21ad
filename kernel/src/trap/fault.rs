//! Faults: repaired by the address space where it can, otherwise the end of the process and a line that says why.
//!
//! This is the glue between a page fault, which the processor reports, the current process, which `proc` knows, and its
//! address space in `mm`.

use core::fmt;

use abi::Signal;
use mm::addr::VirtAddr;
use mm::space::{FaultAccess, FaultError};
use proc::registers::UserRegisters;
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

/// Handles a page fault of the kernel itself, which is fine while it copies to or from user memory.
pub(super) fn repair_for_kernel(address: u64, error_code: u64) -> bool {
    let address = VirtAddr::new(address);
    if !address.is_user() {
        return false;
    }
    let current = proc::sched::current();
    let space = current.space();
    space.exception(address, access(error_code)).is_ok()
}

/// Handles a page fault of a user program: repairs it or ends the process.
pub(super) fn handle_page_fault(thread: &Thread, registers: &UserRegisters, address: u64) {
    let space = thread.space();
    if let Err(reason) = space.exception(VirtAddr::new(address), access(registers.error_code)) {
        let mut text = describe(address, registers.error_code, registers.rip);
        text.reason = Some(reason);
        end(thread, Signal::SIGSEGV, format_args!("{text}"));
    }
}

/// Ends the process of a thread that caused any other exception.
pub(super) fn handle_exception(thread: &Thread, registers: &UserRegisters) {
    let signal = match registers.vector {
        0 | 4 | 16 | 19 => Signal::SIGFPE,
        1 | 3 => Signal::SIGTRAP,
        6 => Signal::SIGILL,
        17 => Signal::SIGBUS,
        _ => Signal::SIGSEGV,
    };
    let (name, rip) = (name(registers.vector), registers.rip);
    end(
        thread,
        signal,
        format_args!("{name} at instruction {rip:#x}"),
    );
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
    }
    proc::exit::decide(thread, abi::ExitStatus::killed(signal));
}

/// What a page fault was about: its class, the access, the address and the instruction.
pub(crate) struct PageFault {
    address: u64,
    error_code: u64,
    rip: u64,
    /// What the address space says of it. Only it knows when there was no memory for a page.
    reason: Option<FaultError>,
}

/// Describes a page fault for people.
pub(crate) fn describe(address: u64, error_code: u64, rip: u64) -> PageFault {
    PageFault {
        address,
        error_code,
        rip,
        reason: None,
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.reason.unwrap_or({
            if self.error_code & PRESENT == 0 {
                FaultError::MissingPage
            } else {
                FaultError::Permission
            }
        });
        let access = match () {
            () if self.error_code & EXECUTE != 0 => "execute",
            () if self.error_code & WRITE != 0 => "write",
            () => "read",
        };
        let (address, rip) = (self.address, self.rip);
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
