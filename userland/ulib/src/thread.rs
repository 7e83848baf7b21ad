//! Threads of this process.
//!
//! [`spawn`] runs a closure in a thread with a stack of its own and returns a handle by which its result is fetched;
//! the threads of a [`scope()`] may borrow from their creator. Below both lies [`create`], which is the system call
//! with the one thing that a library has to add: where a thread function returns to (exercise KERN-10G).
//!
//! The first thread's `main` ends the program when it returns, whatever other threads do; [`exit`] ends a thread alone.
//! A panic of any thread ends the program.

mod running;
mod scope;
mod spawn;
mod stack;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{Errno, Pid, Sysno, ThreadRegisters, decode};

use crate::system_call;

pub use self::scope::{Scope, ScopedJoinHandle, scope};
pub(crate) use self::spawn::while_quiet;
pub use self::spawn::{JoinHandle, spawn};

/// Whether this process may have more than one thread.
static IS_THREADED: AtomicBool = AtomicBool::new(false);

/// How many forks lie between this process and the first that had threads: whose threads those before are is not this
/// process's business, even if one of its own has such an id.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The thread that calls this, in the child of a fork, is the only one.
#[inline]
pub(crate) fn be_alone() {
    // Relaxed: see `create`. If nothing changes, nothing is written: that would cost a page.
    if IS_THREADED.load(Ordering::Relaxed) {
        IS_THREADED.store(false, Ordering::Relaxed);
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts a thread that runs `function(argument)` on the stack below `stack_top` and ends with its result as value.
///
/// # Safety
/// 1. `stack_top` is a multiple of 16. The memory below it can be written and is nobody else's, as far as the function
///    needs a stack, until the thread has been joined; if it leaves by [`exit`], also as long as anybody may use what
///    it has lent from its stack.
/// 2. The function may be called with the argument, at any time.
///
/// # Errors
/// Those of the system call `create_thread`; `EFAULT` never: a stack that cannot be written ends the program.
pub unsafe fn create(
    function: extern "C" fn(usize) -> usize,
    argument: usize,
    stack_top: usize,
) -> Result<Pid, Errno> {
    // SAFETY: by the caller's word.
    let stack_top = unsafe { prepare_stack(stack_top) };
    // SAFETY: by the caller's word.
    decode(unsafe {
        system_call::create_thread(function as *const () as usize, argument, stack_top)
    })
    .map(|tid| tid as Pid)
}

/// As [`create`], for a thread that has `tls_base` as the base of FS.
///
/// # Safety
/// As for [`create`].
///
/// # Errors
/// As for [`create`]; `EINVAL` for a `tls_base` that is not canonical.
pub unsafe fn create_with_tls(
    function: extern "C" fn(usize) -> usize,
    argument: usize,
    stack_top: usize,
    tls_base: usize,
) -> Result<Pid, Errno> {
    let registers = ThreadRegisters {
        rip: function as *const () as u64,
        rdi: argument as u64,
        // SAFETY: by the caller's word.
        rsp: unsafe { prepare_stack(stack_top) } as u64,
        tls_base: tls_base as u64,
        ..ThreadRegisters::default()
    };
    // SAFETY: the kernel only reads the registers; the rest by the caller's word.
    decode(unsafe { system_call::create_thread_registers(&raw const registers) })
        .map(|tid| tid as Pid)
}

/// Puts on the stack below `stack_top` where a thread function returns to, and returns the stack pointer with which a
/// thread begins there. From now on this process may have several threads.
///
/// # Safety
/// The first of [`create`].
unsafe fn prepare_stack(stack_top: usize) -> usize {
    // Relaxed: as long as it is false, there is one thread, which is the one to look.
    IS_THREADED.store(true, Ordering::Relaxed);
    let return_address = stack_top - size_of::<usize>();
    // SAFETY: by the caller's word.
    unsafe { (return_address as *mut usize).write(exit_with_result as *const () as usize) };
    return_address
}

/// Where thread functions return to: ends the thread with what they have returned.
#[unsafe(naked)]
extern "C" fn exit_with_result() -> ! {
    core::arch::naked_asm!(
        "mov rdi, rax",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

/// Ends this thread. The last one of a process ends that, with the low 8 bits of `value` as its exit code.
///
/// Nothing that the thread owns is dropped: what it has locked stays locked. Its stack stays as it is, if the library
/// has made it, since others may have borrowed from it; it is not used for another thread.
///
/// # Safety
/// If this thread is one of a [`scope`](scope()), it is in no scope of its own: nobody would wait for the threads of
/// that, and they may use what goes when the outer scope ends, which is as soon as this thread has.
pub unsafe fn exit(value: usize) -> ! {
    // SAFETY: the thread does nothing any more.
    unsafe { system_call::exit_thread(value) };
    unreachable!("exit_thread has returned")
}

/// The value of the thread `tid` of this process if it has ended; by that it is forgotten. A value that could be an
/// error (-1 to -4095) looks like one, though the thread is forgotten: [`join`] tells.
///
/// # Errors
/// Those of the system call `join_thread`, with `Ok(None)` in the place of `EAGAIN`.
pub fn poll_join(tid: Pid) -> Result<Option<usize>, Errno> {
    // SAFETY: the call touches no memory.
    match decode(unsafe { system_call::join_thread(tid) }) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Waits until the thread `tid` of this process has ended, and returns its value.
///
/// # Errors
/// Those of the system call `join_thread_wait`.
pub fn join(tid: Pid) -> Result<usize, Errno> {
    let mut value = 0;
    // SAFETY: the kernel writes one word, for which there is room.
    decode(unsafe { system_call::join_thread_wait(tid, &raw mut value) })?;
    Ok(value)
}

/// Makes `address` the base of FS for this thread.
///
/// # Errors
/// Those of the system call `set_tls_base`.
pub fn set_tls_base(address: usize) -> Result<(), Errno> {
    // SAFETY: nothing in a program goes by FS but what the program itself says.
    decode(unsafe { system_call::set_tls_base(address) }).map(drop)
}
