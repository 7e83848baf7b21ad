//! The calls that need something of the library: `sys_fork` and threads.

use core::ffi::c_void;
use core::ptr;

use abi::{Pid, encode};
use ulib::process::{self, Fork};
use ulib::thread;

use crate::tls;

/// What thread functions are.
type ThreadFunction = extern "C" fn(usize) -> usize;

/// The least alignment of a stack.
const STACK_ALIGNMENT: usize = 16;

/// `fork`, at a moment at which no thread is inside of the heap.
#[unsafe(no_mangle)]
extern "C" fn sys_fork() -> Pid {
    let result = process::fork().map(|fork| match fork {
        Fork::Child => 0,
        Fork::Parent(child) => child as usize,
    });
    encode(result) as Pid
}

/// Starts a thread whose function may return: that ends it with what it returns. It has thread-local variables of its
/// own, at the top of its stack.
///
/// # Safety
/// As for [`thread::create`], but `stack_top` need not be aligned.
#[unsafe(no_mangle)]
unsafe extern "C" fn sys_create_thread(
    function: ThreadFunction,
    argument: usize,
    stack_top: usize,
) -> Pid {
    // SAFETY: by the caller's word: it is the thread's stack, and nobody else's.
    let (tls_base, stack_top) = match unsafe { tls::put_below(stack_top) } {
        Some(block) => (block.base, block.start),
        None => (0, stack_top),
    };
    let stack_top = stack_top & !(STACK_ALIGNMENT - 1);
    // SAFETY: by the caller's word.
    let result = unsafe { thread::create_with_tls(function, argument, stack_top, tls_base) };
    encode(result.map(|tid| tid as usize)) as Pid
}

/// What a thread has returned, if it has ended; otherwise -1 as a pointer.
#[unsafe(no_mangle)]
extern "C" fn sys_join_thread(tid: Pid) -> *mut c_void {
    match thread::poll_join(tid) {
        Ok(Some(value)) => ptr::with_exposed_provenance_mut(value),
        _ => ptr::without_provenance_mut(usize::MAX),
    }
}
