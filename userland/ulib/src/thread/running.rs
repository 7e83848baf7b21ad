//! A thread that runs a closure, from its start until it has been joined, whoever holds it meanwhile.
//!
//! The guarantee: the stack of a thread is used for another one only after the thread's closure has returned and the
//! thread has been joined. One that has ended by [`exit`](super::exit) may have left something on its stack that others
//! still use, such as the threads of a scope; so that stack is not used again.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Pid};

use super::stack::Stack;
use super::{FORKS, create, join, poll_join};

/// A thread that has not been joined.
#[derive(Debug)]
pub(super) struct Running {
    tid: Pid,
    /// [`FORKS`] in its process.
    forks: u32,
    stack: Stack,
    has_returned: Arc<AtomicBool>,
}

/// Where a thread leaves the result of its closure.
#[derive(Debug)]
pub(super) struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: the thread writes it once, before it returns, and `take` is called afterwards, by the one who owns the slot
// then.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// What the thread has left there.
    ///
    /// # Safety
    /// 1. [`Running::join`] has said that the thread has returned.
    /// 2. Nobody else calls this at the same time.
    pub(super) unsafe fn take(&self) -> Option<T> {
        // SAFETY: by 1 the thread does not write any more, and what it has written is seen; by 2 nobody else is here.
        unsafe { (*self.0.get()).take() }
    }
}

/// What a new thread is given.
struct Start<T, F> {
    body: F,
    result: Arc<Slot<T>>,
    has_returned: Arc<AtomicBool>,
}

/// Starts a thread that runs `body` and leaves its result in the slot.
///
/// # Safety
/// What `body` and its result borrow stays until the thread has been joined.
///
/// # Errors
/// Those of the system calls `map` and `create_thread`. Nothing has changed then.
pub(super) unsafe fn start<T: Send, F: FnOnce() -> T + Send>(
    body: F,
) -> Result<(Running, Arc<Slot<T>>), Errno> {
    let stack = Stack::take()?;
    let result = Arc::new(Slot(UnsafeCell::new(None)));
    let has_returned = Arc::new(AtomicBool::new(false));
    let start = Box::into_raw(Box::new(Start {
        body,
        result: result.clone(),
        has_returned: has_returned.clone(),
    }));
    // SAFETY: 1. the stack is the thread's as this module guarantees; 2. `run` gets what was made for it, and whatever
    // that borrows is there by the caller's word.
    match unsafe { create(run::<T, F>, start.expose_provenance(), stack.top()) } {
        Ok(tid) => Ok((
            Running {
                tid,
                // Relaxed: changed by a thread that is alone.
                forks: FORKS.load(Ordering::Relaxed),
                stack,
                has_returned,
            },
            result,
        )),
        Err(errno) => {
            // SAFETY: there is no thread, so the box is still ours.
            drop(unsafe { Box::from_raw(start) });
            stack.give_back();
            Err(errno)
        }
    }
}

/// The function of all threads that [`start`] starts.
extern "C" fn run<T, F: FnOnce() -> T>(argument: usize) -> usize {
    let start = ptr::with_exposed_provenance_mut::<Start<T, F>>(argument);
    // SAFETY: the function `start` made it for this thread.
    let Start {
        body,
        result,
        has_returned,
    } = *unsafe { Box::from_raw(start) };
    let value = body();
    // SAFETY: nobody reads before this thread has returned, and nobody else writes.
    unsafe { *result.0.get() = Some(value) };
    drop(result);
    // Relaxed: who looks has joined the thread, which orders everything before its end.
    has_returned.store(true, Ordering::Relaxed);
    0
}

impl Running {
    /// Its id.
    pub(super) fn tid(&self) -> Pid {
        self.tid
    }

    /// Waits until the thread has ended. True if its closure has returned; false if it has called
    /// [`exit`](super::exit), or the process has no such thread: it has been joined by its id, or this is the child of
    /// a fork.
    pub(super) fn join(self) -> bool {
        if self.is_of_another_process() {
            return false;
        }
        loop {
            match join(self.tid) {
                Ok(_) => return self.finish(),
                Err(Errno::EINTR) => {}
                // Its stack is lost: in a child of a fork the copy may be anything, even the stack of the caller.
                Err(Errno::ESRCH) => return false,
                Err(errno) => panic!("thread {} cannot be joined: {errno}", self.tid),
            }
        }
    }

    /// Joins the thread if it has ended.
    ///
    /// # Errors
    /// The thread itself, if it has not.
    pub(super) fn try_join(self) -> Result<(), Running> {
        if self.is_of_another_process() {
            return Ok(());
        }
        match poll_join(self.tid) {
            Ok(Some(_)) => {
                self.finish();
                Ok(())
            }
            // As in `join`.
            Err(Errno::ESRCH) => Ok(()),
            // It has not ended; it may be the caller.
            _ => Err(self),
        }
    }

    /// Whether it was a thread of the process that this one is a copy of.
    fn is_of_another_process(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }

    /// Takes the stack back from the thread, which has been joined, if its closure has returned; says whether it has.
    fn finish(self) -> bool {
        // Relaxed: as in `run`.
        let has_returned = self.has_returned.load(Ordering::Relaxed);
        if has_returned {
            self.stack.give_back();
        }
        has_returned
    }
}
