//! Accesses of the kernel to user space that may be forbidden: they return what stopped them, and do not panic.
//!
//! Each access is a single instruction of known address. When a fault of it cannot be repaired, the handler does not go
//! back there ([`recover`]) but to where the function returns, with the reason in place of its result.

use core::arch::naked_asm;

use mm::addr::{self, VirtAddr};
use mm::space::FaultError;

use super::stubs::KernelFrame;

/// Reads the eight bytes at `address`, in user space.
///
/// # Errors
/// What the address space says of it; `Privilege` if they are not in user space, or users may access them.
pub(crate) fn probe_read(address: VirtAddr) -> Result<u64, FaultError> {
    check(address)?;
    let mut word = 0;
    // SAFETY: 1. the bytes are in user space, where no value of Rust's lies: it is whatever the thread's address space
    // has there, or a fault; 2. `word` is a place for them.
    outcome(unsafe { read(address.as_u64(), &raw mut word) })?;
    Ok(word)
}

/// Writes `word` to the eight bytes at `address`, in user space.
///
/// # Errors
/// As [`probe_read`].
pub(crate) fn probe_write(address: VirtAddr, word: u64) -> Result<(), FaultError> {
    check(address)?;
    // SAFETY: as in `probe_read`, 1.
    outcome(unsafe { write(address.as_u64(), word) })
}

/// Calls the function at `address`, in user space.
///
/// # Errors
/// As [`probe_read`], if it cannot be fetched from there.
///
/// # Safety
/// If code can be fetched from `address`, it is a function without arguments that keeps to the C calling convention,
/// and it may be called here.
pub(crate) unsafe fn probe_execute(address: VirtAddr) -> Result<(), FaultError> {
    check(address)?;
    // SAFETY: passed on.
    outcome(unsafe { call(address.as_u64()) })
}

fn check(address: VirtAddr) -> Result<(), FaultError> {
    if addr::is_user_bytes(address.as_usize(), size_of::<u64>()) {
        Ok(())
    } else {
        Err(FaultError::Privilege)
    }
}

/// The result of an access that was made.
const DONE: u64 = 0;
/// The results of those that were stopped: the numbers of these from 1 on.
const REASONS: [FaultError; 5] = [
    FaultError::Privilege,
    FaultError::MissingPage,
    FaultError::Permission,
    FaultError::NoMemory,
    FaultError::Unreadable,
];

fn outcome(result: u64) -> Result<(), FaultError> {
    match result {
        DONE => Ok(()),
        number => Err(reason_of(number)),
    }
}

fn reason_of(number: u64) -> FaultError {
    let reason = REASONS.get(number as usize - 1);
    reason.copied().unwrap_or(FaultError::Privilege)
}

fn number_of(reason: FaultError) -> u64 {
    let index = REASONS.iter().position(|known| *known == reason);
    index.map_or(1, |index| index as u64 + 1)
}

/// If `frame` is of a probe whose access to `address` cannot be repaired for `reason`, lets the probe return that.
pub(super) fn recover(frame: &mut KernelFrame, address: u64, reason: FaultError) -> bool {
    let accesses = [read as *const () as u64, write as *const () as u64];
    if accesses.contains(&frame.rip) {
        frame.rip = returned_from_access as *const () as u64;
    } else if is_fetch_of_call(frame, address) {
        // The return address that `call` has pushed is skipped.
        frame.rsp += size_of::<u64>() as u64;
        frame.rip = returned_from_call as *const () as u64;
    } else {
        return false;
    }
    frame.rax = number_of(reason);
    true
}

/// Whether the exception came when the processor fetched the first instruction of what `call` has called.
fn is_fetch_of_call(frame: &KernelFrame, address: u64) -> bool {
    let top_of_stack = core::ptr::with_exposed_provenance::<u64>(frame.rsp as usize);
    // SAFETY: an exception in the kernel comes on a stack of the kernel's, with RSP on a word of it; what lies there
    // has not been changed since, because the frame was pushed below.
    frame.rip == address && unsafe { top_of_stack.read() } == completed_call as *const () as u64
}

/// Reads the eight bytes at `address` to `*word`. Its first instruction is the access.
///
/// # Safety
/// 1. The bytes may be read, or a fault there is one of those that the handler knows. 2. `word` can be written.
#[unsafe(naked)]
unsafe extern "sysv64" fn read(address: u64, word: *mut u64) -> u64 {
    naked_asm!("mov rax, [rdi]", "mov [rsi], rax", "xor eax, eax", "ret")
}

/// Writes `word` to the eight bytes at `address`. Its first instruction is the access.
///
/// # Safety
/// The bytes may be written, or a fault there is one of those that the handler knows.
#[unsafe(naked)]
unsafe extern "sysv64" fn write(address: u64, word: u64) -> u64 {
    naked_asm!("mov [rdi], rsi", "xor eax, eax", "ret")
}

/// Calls the function at `address`, with [`completed_call`] as the return address.
///
/// # Safety
/// As [`probe_execute`].
#[unsafe(naked)]
unsafe extern "sysv64" fn call(address: u64) -> u64 {
    naked_asm!(
        // The stack of the function is aligned as the convention wants it.
        "sub rsp, 8",
        "lea rax, [rip + {completed_call}]",
        "push rax",
        "jmp rdi",
        completed_call = sym completed_call,
    )
}

/// Where the function returns that `call` has called.
#[unsafe(naked)]
unsafe extern "sysv64" fn completed_call() {
    naked_asm!("xor eax, eax", "jmp {returned}", returned = sym returned_from_call)
}

/// The end of `call`, with the result in RAX.
#[unsafe(naked)]
unsafe extern "sysv64" fn returned_from_call() {
    naked_asm!("add rsp, 8", "ret")
}

/// The end of `read` and `write`, with the result in RAX.
#[unsafe(naked)]
unsafe extern "sysv64" fn returned_from_access() {
    naked_asm!("ret")
}
