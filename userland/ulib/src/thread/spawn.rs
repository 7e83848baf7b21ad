//! Threads that borrow nothing.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::{Errno, Pid};

use super::running::{self, Running, Slot};
use super::{IS_THREADED, stack};
use crate::sync::Mutex;

/// A thread that has been started, and can be joined.
#[derive(Debug)]
pub struct JoinHandle<T> {
    tid: Pid,
    /// Some until it is joined.
    running: Option<Running>,
    result: Arc<Slot<T>>,
}

/// Threads whose handles were dropped before they were joined.
static UNWANTED: Mutex<VecDeque<Running>> = Mutex::new(VecDeque::new());

/// How many of them a new thread looks at: more than it can add.
const LOOKS: usize = 2;

/// Starts a thread that runs `body`. If the handle is dropped, the thread runs on, and its result is lost.
///
/// # Errors
/// Those of the system calls `map` and `create_thread`. Nothing has changed then.
pub fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Errno> {
    join_unwanted();
    // SAFETY: the closure and its result borrow nothing that could go.
    let (running, result) = unsafe { running::start(body)? };
    Ok(JoinHandle {
        tid: running.tid(),
        running: Some(running),
        result,
    })
}

/// Joins the next few threads that nobody else will join, if they have ended.
fn join_unwanted() {
    let mut unwanted = UNWANTED.lock();
    for _ in 0..LOOKS.min(unwanted.len()) {
        let next = unwanted.pop_front().map(Running::try_join);
        if let Some(Err(running)) = next {
            unwanted.push_back(running);
        }
    }
}

/// Calls `body` while no thread of this process is inside of the heap or starts or ends a thread, so that a copy of the
/// process can do both. It must do neither.
#[inline]
pub(crate) fn while_quiet<T>(body: impl FnOnce() -> T) -> T {
    // Relaxed: see `create`.
    if !IS_THREADED.load(Ordering::Relaxed) {
        return body();
    }
    let _unwanted = UNWANTED.lock();
    stack::while_quiet(|| crate::heap::while_quiet(body))
}

impl<T> JoinHandle<T> {
    /// Its id.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    /// Waits until the thread has ended. Returns its result; `None` if it has called [`exit`](super::exit) instead, or
    /// the process has no such thread: it has been joined by its id, or this is the child of a fork.
    ///
    /// # Panics
    /// In the thread itself, which would wait for ever.
    pub fn join(mut self) -> Option<T> {
        let has_returned = self.running.take()?.join();
        // SAFETY: 1. it says so; 2. the handle is not shared any more.
        has_returned.then(|| unsafe { self.result.take() })?
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            UNWANTED.lock().push_back(running);
        }
    }
}
