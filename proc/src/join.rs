//! `join_thread`: the value of a thread that has ended (exercise KERN-10).

use alloc::sync::Arc;

use abi::Errno;

use crate::exit;
use crate::process::Process;
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};

/// Waits until the thread `id` of the caller's process has ended, and forgets it. Returns what it gave to `exit_thread`.
///
/// # Errors
/// `ESRCH` if the process has no such thread, or it has been joined; `EDEADLK` for the caller itself; `EINTR`.
pub fn join(caller: &Thread, id: Id) -> Result<usize, Errno> {
    let process = caller.process().ok_or(Errno::ESRCH)?;
    process
        .thread_ended
        .wait_until(|| poll_join(caller, id).transpose())?
}

/// As [`join`], at once: none if the thread has not ended.
///
/// # Errors
/// As [`join`] but `EINTR`.
pub fn poll_join(caller: &Thread, id: Id) -> Result<Option<usize>, Errno> {
    if id == caller.id() {
        return Err(Errno::EDEADLK);
    }
    let process = caller.process().ok_or(Errno::ESRCH)?;
    let Some(thread) = find(process, id) else {
        return Err(Errno::ESRCH);
    };
    let mut life = process.life.lock();
    let Some(ended) = life.join(&thread) else {
        // Running, or joined by somebody else in between.
        let is_running = life.running().contains(&thread);
        return is_running.then_some(None).ok_or(Errno::ESRCH);
    };
    drop(life);
    drop(thread);
    let value = ended.value();
    exit::forget(process, ended);
    Ok(Some(value))
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
