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
    let process = caller.process().ok_or(Errno::ESRCH)?;
    let thread = find(caller, process, id)?;
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

/// Whether `caller` could join the thread `id`, now or later.
///
/// # Errors
/// As [`join`] but `EINTR`.
pub fn check(caller: &Thread, id: Id) -> Result<(), Errno> {
    let process = caller.process().ok_or(Errno::ESRCH)?;
    find(caller, process, id).map(drop)
}

/// The thread `id` if it is another one of `process`, that of `caller`, running or ended.
fn find(caller: &Thread, process: &Arc<Process>, id: Id) -> Result<Arc<Thread>, Errno> {
    if id == caller.id() {
        return Err(Errno::EDEADLK);
    }
    let is_own = |other: &Arc<Process>| Arc::ptr_eq(other, process);
    let found = match table::find(id) {
        Entry::Thread(thread) => thread.process().is_some_and(is_own).then_some(thread),
        // Behind the process's own id is the process, once its first thread has ended.
        Entry::Process(other) if is_own(&other) => process.life.lock().find_ended(id),
        _ => None,
    };
    found.ok_or(Errno::ESRCH)
}
