//! What a new thread finds in its registers.

use abi::{Errno, Pid, Sysno, ThreadRegisters, decode};
use ulib::{system_call, thread};

/// All registers of a thread at its first instruction, but its stack pointer.
///
/// [`push_registers`] leaves them on the stack, last first.
#[repr(C)]
#[derive(Copy, Clone, Debug)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub struct FoundRegisters {
    pub ss: u64,
    pub cs: u64,
    pub rflags: u64,
    /// From r15 to r8, then rbp, rdi, rsi, rdx, rcx, rbx, rax.
    pub general: [u64; 15],
}

/// Pushes all registers and ends the thread with its stack pointer as value.
#[unsafe(naked)]
pub extern "C" fn push_registers() -> ! {
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

/// What a thread that was asked for with `wanted` finds. Its first instruction is that of [`push_registers`].
///
/// # Errors
/// Those of the system calls `create_thread_registers` and `join_thread_wait`.
///
/// # Panics
/// If the stack pointer is not what was asked for.
#[track_caller]
pub fn find_registers(wanted: &ThreadRegisters) -> Result<FoundRegisters, Errno> {
    // SAFETY: the thread runs `push_registers` on a stack that is not in use.
    let tid = decode(unsafe { system_call::create_thread_registers(wanted) })?;
    let place = thread::join(tid as Pid)?;
    assert_eq!(
        place + size_of::<FoundRegisters>(),
        wanted.rsp as usize,
        "the stack pointer"
    );
    // SAFETY: the thread has put it there, on a stack that stays.
    Ok(unsafe { (place as *const FoundRegisters).read_unaligned() })
}

/// The general registers of `wanted` in the order of [`FoundRegisters::general`].
pub const fn general_of(wanted: &ThreadRegisters) -> [u64; 15] {
    [
        wanted.r15, wanted.r14, wanted.r13, wanted.r12, wanted.r11, wanted.r10, wanted.r9,
        wanted.r8, wanted.rbp, wanted.rdi, wanted.rsi, wanted.rdx, wanted.rcx, wanted.rbx,
        wanted.rax,
    ]
}
