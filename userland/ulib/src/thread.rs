//! Threads of this process.
//!
//! [`spawn`] runs a closure in a thread with a stack of its own and returns a handle by which its result is fetched. Below it
//! lies [`create`], which is the system call with the one thing that a library has to add: where a thread function returns to
//! (exercise KERN-10G).

mod stack;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Pid, Sysno, decode};

use self::stack::Stack;
use crate::sync::Mutex;
use crate::system_call;

/// Whether this process may have more than one thread.
static IS_THREADED: AtomicBool = AtomicBool::new(false);

/// Starts a thread that runs `function(argument)` on the stack below `stack_top`, a multiple of 16, and ends with its result
/// as value.
///
/// # Safety
/// 1. The memory below `stack_top` can be written and is nobody else's, as far as the function needs a stack, until the
///    thread has ended.
/// 2. The function may be called with the argument, at any time.
///
/// # Errors
/// Those of the system call `create_thread`; `EFAULT` never: a stack that cannot be written ends the program.
pub unsafe fn create(
    function: extern "C" fn(usize) -> usize,
    argument: usize,
    stack_top: usize,
) -> Result<Pid, Errno> {
    // Relaxed: as long as it is false, there is one thread, which is the one to look.
    IS_THREADED.store(true, Ordering::Relaxed);
    let return_address = stack_top - size_of::<usize>();
    // SAFETY: 1. of the caller.
    unsafe { (return_address as *mut usize).write(exit_with_result as *const () as usize) };
    // SAFETY: by the caller's word.
    decode(unsafe {
        system_call::create_thread(function as *const () as usize, argument, return_address)
    })
    .map(|tid| tid as Pid)
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
pub fn exit(value: usize) -> ! {
    // SAFETY: the thread does nothing any more.
    unsafe { system_call::exit_thread(value) };
    unreachable!("exit_thread has returned")
}

/// The value of the thread `tid` of this process if it has ended; by that it is forgotten.
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

/// A thread that has been started, and will be joined.
#[derive(Debug)]
pub struct JoinHandle<T> {
    /// Some until it has been joined.
    running: Option<Running>,
    result: Arc<Slot<T>>,
}

/// A thread and its stack.
#[derive(Debug)]
struct Running {
    tid: Pid,
    stack: Stack,
}

/// Where a thread leaves its result.
#[derive(Debug)]
struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: the thread writes once, before it ends, and the one who has joined it reads afterwards.
unsafe impl<T: Send> Sync for Slot<T> {}

/// Threads whose handles were dropped before they ended.
static UNWANTED: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// Starts a thread that runs `body`. If the handle is dropped, the thread runs on, and its result is lost.
///
/// # Errors
/// Those of the system calls `map` and `create_thread`. Nothing has changed then.
pub fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Errno> {
    // SAFETY: the closure and its result borrow nothing.
    unsafe { spawn_unchecked(body) }
}

/// As [`spawn`].
///
/// # Safety
/// What `body` and its result borrow is there until the thread has been joined.
unsafe fn spawn_unchecked<T: Send>(
    body: impl FnOnce() -> T + Send,
) -> Result<JoinHandle<T>, Errno> {
    free_unwanted();
    let stack = Stack::take()?;
    let result = Arc::new(Slot(UnsafeCell::new(None)));
    let slot = result.clone();
    let body: Box<dyn FnOnce() + '_> = Box::new(move || {
        let result = body();
        // SAFETY: see `Sync for Slot`.
        unsafe { *slot.0.get() = Some(result) };
    });
    let argument = Box::into_raw(Box::new(body));
    // SAFETY: 1. the stack is the thread's until it has been joined; 2. `run` gets the box that was made for it.
    match unsafe { create(run, argument.expose_provenance(), stack.top()) } {
        Ok(tid) => Ok(JoinHandle {
            running: Some(Running { tid, stack }),
            result,
        }),
        Err(errno) => {
            // SAFETY: there is no thread, so the box is still ours.
            drop(unsafe { Box::from_raw(argument) });
            stack.give_back();
            Err(errno)
        }
    }
}

/// Calls `body` while no thread of this process is inside of the heap or starts or ends a thread, so that a copy of the
/// process can do both. It must do neither.
///
/// The only thread of a process takes no lock for that: each would be a page to copy, in both processes.
#[inline]
pub(crate) fn while_quiet<T>(body: impl FnOnce() -> T) -> T {
    // Relaxed: see `create`.
    if !IS_THREADED.load(Ordering::Relaxed) {
        return body();
    }
    let _unwanted = UNWANTED.lock();
    stack::while_quiet(|| crate::heap::while_quiet(body))
}

/// The thread that calls this, in the child of a fork, is the only one.
#[inline]
pub(crate) fn be_alone() {
    // Relaxed: see `create`. If nothing changes, nothing is written: that would cost a page.
    if IS_THREADED.load(Ordering::Relaxed) {
        IS_THREADED.store(false, Ordering::Relaxed);
    }
}

/// The function of all threads that [`spawn`] starts.
extern "C" fn run(argument: usize) -> usize {
    let body = core::ptr::with_exposed_provenance_mut::<Box<dyn FnOnce()>>(argument);
    // SAFETY: `spawn_unchecked` made it for this thread.
    let body = unsafe { Box::from_raw(body) };
    body();
    0
}

/// Takes back the stacks of threads that nobody joins, as far as they have ended.
fn free_unwanted() {
    let mut unwanted = UNWANTED.lock();
    let mut index = 0;
    while let Some(thread) = unwanted.get(index) {
        match poll_join(thread.tid) {
            Ok(None) => index += 1,
            Ok(Some(_)) => unwanted.swap_remove(index).stack.give_back(),
            // The child of a fork has no such thread, and its stack lies where the copy may be anything.
            Err(_) => drop(unwanted.swap_remove(index)),
        }
    }
}

impl<T> JoinHandle<T> {
    /// Its id.
    ///
    /// # Panics
    /// Never: a handle has its thread until it is gone.
    pub fn tid(&self) -> Pid {
        match &self.running {
            Some(running) => running.tid,
            None => unreachable!("a handle has its thread until it is joined"),
        }
    }

    /// Waits until the thread has ended; `None` if it has called [`exit`].
    pub fn join(mut self) -> Option<T> {
        self.wait();
        // SAFETY: see `Sync for Slot`.
        unsafe { (*self.result.0.get()).take() }
    }

    fn wait(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        loop {
            match join(running.tid) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => panic!("thread {} cannot be joined: {errno}", running.tid),
            }
        }
        running.stack.give_back();
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            UNWANTED.lock().push(running);
        }
    }
}
