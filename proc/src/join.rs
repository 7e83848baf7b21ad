//! `join_thread`: the value of a thread that has ended (exercise KERN-10).

#[cfg(all(test, loom))]
mod model;

use alloc::sync::{Arc, Weak};

use abi::Errno;

use crate::exit;
use crate::process::Process;
use crate::process::life::Life;
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};

/// A thread that has ended and is still there, unless another one joins it. This does not keep it, and is never another
/// thread that has got its id.
pub struct Unjoined {
    value: usize,
    thread: Weak<Thread>,
}

impl Unjoined {
    /// What it gave to `exit_thread`.
    pub fn value(&self) -> usize {
        self.value
    }

    /// Forgets it.
    ///
    /// # Errors
    /// `ESRCH` if another thread has joined it.
    pub fn join(self, caller: &Thread) -> Result<(), Errno> {
        let process = caller.process().ok_or(Errno::ESRCH)?;
        // EXIT-1: without a reference, for which who joins the thread might have stopped waiting.
        let ended = process.life.lock().join_weak(&self.thread);
        exit::forget(process, ended.ok_or(Errno::ESRCH)?);
        Ok(())
    }
}

/// Waits until the thread `id` of the caller's process has ended; it is not forgotten by that.
///
/// # Errors
/// `ESRCH` if the process has no such thread, or it has been joined; `EDEADLK` for the caller itself; `EINTR`.
pub fn wait_for_end(caller: &Thread, id: Id) -> Result<Unjoined, Errno> {
    let process = caller.process().ok_or(Errno::ESRCH)?;
    process
        .thread_ended
        .wait_until(|| poll_end(caller, process, id).transpose())?
}

/// As [`wait_for_end`], at once: none if it has not ended.
fn poll_end(caller: &Thread, process: &Arc<Process>, id: Id) -> Result<Option<Unjoined>, Errno> {
    let thread = find_other(caller, process, id)?;
    let life = process.life.lock();
    if life.has_ended(&thread) {
        return Ok(Some(Unjoined {
            value: thread.value(),
            thread: Arc::downgrade(&thread),
        }));
    }
    expect_running(&life, &thread).map(|()| None)
}

/// Forgets the thread `id` of the caller's process if it has ended, and returns what it gave to `exit_thread`; none if
/// it has not ended.
///
/// # Errors
/// As [`wait_for_end`] but `EINTR`.
pub fn poll_join(caller: &Thread, id: Id) -> Result<Option<usize>, Errno> {
    let process = caller.process().ok_or(Errno::ESRCH)?;
    let thread = find_other(caller, process, id)?;
    let mut life = process.life.lock();
    let Some(ended) = life.join(&thread) else {
        return expect_running(&life, &thread).map(|()| None);
    };
    drop(life);
    drop(thread);
    let value = ended.value();
    exit::forget(process, ended);
    Ok(Some(value))
}

/// Tells a thread that has not ended from one that somebody else has joined in between.
///
/// # Errors
/// `ESRCH` for the latter.
fn expect_running(life: &Life, thread: &Thread) -> Result<(), Errno> {
    let is_running = life.running().contains(thread);
    is_running.then_some(()).ok_or(Errno::ESRCH)
}

/// The thread `id` of `process` that `caller`, another one of it, can join now or later.
///
/// # Errors
/// Those of [`poll_join`].
fn find_other(caller: &Thread, process: &Arc<Process>, id: Id) -> Result<Arc<Thread>, Errno> {
    if id == caller.id() {
        return Err(Errno::EDEADLK);
    }
    find(process, id).ok_or(Errno::ESRCH)
}

/// The thread `id` if it is one of `process`, running or ended.
fn find(process: &Arc<Process>, id: Id) -> Option<Arc<Thread>> {
    let is_own = |other: &Arc<Process>| Arc::ptr_eq(other, process);
    match table::find(id) {
        Entry::Thread(thread) => thread.process().is_some_and(is_own).then_some(thread),
        // Behind the process's own id is the process, once its first thread has ended.
        Entry::Process(other) if is_own(&other) => process.life.lock().find_ended(id),
        _ => None,
    }
}
