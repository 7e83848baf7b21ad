//! `kill`: ending another process. Signals that a process can catch come with threads.

use abi::{Errno, ExitStatus, Signal};

use crate::exit;
use crate::table::{self, Entry};
use crate::thread::Id;

/// Ends the process `id` with `signal` as its status, whatever it does.
///
/// # Errors
/// `ESRCH` if there is no such process or it has ended, `EPERM` for `init` and processes of the kernel.
pub fn kill(id: Id, signal: Signal) -> Result<(), Errno> {
    let Entry::Thread(thread) = table::find(id) else {
        return Err(Errno::ESRCH);
    };
    let process = thread.process().ok_or(Errno::ESRCH)?;
    if process.is_kernel() || exit::is_init(process) {
        return Err(Errno::EPERM);
    }
    exit::kill_thread(thread, ExitStatus::killed(signal));
    Ok(())
}

/// Ends all children of the process `parent` with `signal` as their status.
pub fn kill_children(parent: Id, signal: Signal) {
    table::for_each(|id, entry| {
        let is_child = matches!(&entry, Entry::Thread(thread)
            if thread.process().is_some_and(|process| process.parent_id() == parent));
        if is_child {
            // One that has ended just now, or is the kernel's own, stays as it is.
            let _ = kill(id, signal);
        }
    });
}

/// Whether `id` could be killed: a process that runs.
///
/// # Errors
/// `ESRCH` if there is no such process or it has ended.
pub fn check(id: Id) -> Result<(), Errno> {
    match table::find(id) {
        Entry::Thread(_) => Ok(()),
        _ => Err(Errno::ESRCH),
    }
}
