//! Sending signals.

#[cfg(all(test, loom))]
mod model;

use alloc::sync::Arc;

use abi::{Errno, ExitStatus, Signal};
use smp::ipi::{self, Ipi};
use smp::pin;

use crate::exit;
use crate::process::Process;
use crate::process::life::Life;
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};
use crate::wait::Waiter;

/// Whom a signal is for.
struct Target {
    process: Arc<Process>,
    /// The one thread that it is for; if there is none, whichever can take it.
    thread: Option<Arc<Thread>>,
}

/// Sends `signal` to what is behind `id`: a process, or one thread. Without a handler the process ends.
///
/// # Errors
/// `ESRCH` if there is no such process or thread, or it has ended; `EPERM` for `init` and processes of the kernel;
/// `EAGAIN` if whoever could take the signal is in a handler and it is not SIGKILL. Nothing has changed then.
pub fn kill(id: Id, signal: Signal) -> Result<(), Errno> {
    send(&Target::behind(id, table::find(id))?, signal)
}

fn send(target: &Target, signal: Signal) -> Result<(), Errno> {
    let process = &target.process;
    let life = process.life.lock();
    target.check(&life)?;
    if signal == Signal::SIGKILL {
        drop(life);
        exit::end_process(process, ExitStatus::killed(signal));
        return Ok(());
    }
    let has_handler = process.handlers.get(signal).is_some();
    let can_take = |thread: &Thread| match has_handler {
        true => thread.attention.post(signal).is_ok(),
        false => !thread.attention.is_in_handler(),
    };
    let taker = match &target.thread {
        Some(thread) => can_take(thread).then(|| thread.clone()),
        None => life.running().find_arc(can_take),
    };
    // To who is about to end the signal comes too late to change anything. Who has just left his handler did refuse it.
    let is_refused = taker.is_none() && !target.is_about_to_end(&life);
    drop(life);
    match taker {
        Some(thread) if has_handler => rouse(thread),
        // SIGNAL-3.
        Some(_) if signal != Signal::SIGCHLD => {
            exit::end_process(process, ExitStatus::killed(signal));
        }
        None if is_refused => return Err(Errno::EAGAIN),
        _ => {}
    }
    Ok(())
}

/// Sends `signal` to all children of the process `parent`.
pub fn kill_children(parent: Id, signal: Signal) {
    table::for_each(|id, entry| {
        let Ok(target) = Target::behind(id, entry) else {
            return;
        };
        if target.thread.is_none() && target.process.parent_id() == parent {
            // One that has ended just now, is in a handler, or is the kernel's own, stays as it is.
            let _ = send(&target, signal);
        }
    });
}

/// Whether a signal could be sent to `id`.
///
/// # Errors
/// `ESRCH` if there is no such process or thread, or it has ended; `EPERM` for `init` and processes of the kernel.
pub fn check(id: Id) -> Result<(), Errno> {
    let target = Target::behind(id, table::find(id))?;
    target.check(&target.process.life.lock())
}

/// Tells a process that a child of it has ended.
pub(crate) fn notify_of_child(parent: &Process) {
    // SIGNAL-3.
    if parent.handlers.get(Signal::SIGCHLD).is_some() {
        post_for_certain(parent, Signal::SIGCHLD);
    }
}

/// Gives the signals that `thread` has not taken, and will not take since it is about to end, to others of its process.
pub(crate) fn hand_over(process: &Process, thread: &Thread) {
    while let Some(signal) = thread.attention.take_back_signal() {
        post_for_certain(process, signal);
    }
}

/// Posts `signal` to the first thread of `process` that is in no handler. If each is in one, the first takes it when it
/// has left that.
fn post_for_certain(process: &Process, signal: Signal) {
    let life = process.life.lock();
    let threads = life.running();
    let taker = threads
        .find_arc(|thread| thread.attention.post(signal).is_ok())
        .or_else(|| threads.find_arc(|thread| thread.attention.post_for_later(signal).is_ok()));
    drop(life);
    // None if all are about to end.
    if let Some(thread) = taker {
        rouse(thread);
    }
}

/// Lets a thread see soon what is wanted of it: wakes it, or interrupts the CPU that runs it.
fn rouse(thread: Arc<Thread>) {
    let pin = pin::pin();
    if let Some(cpu) = exit::busy_cpu(&thread, &pin) {
        ipi::send(Ipi::Reschedule, cpu);
    }
    Thread::unpark(thread);
}

impl Target {
    /// What stands behind `id`.
    ///
    /// # Errors
    /// `ESRCH` if that is no process or thread.
    fn behind(id: Id, entry: Entry) -> Result<Target, Errno> {
        let (process, thread) = match entry {
            Entry::Thread(thread) => (thread.process().cloned().ok_or(Errno::ESRCH)?, Some(thread)),
            Entry::Process(process) => (process, None),
            Entry::Free | Entry::Reserved => return Err(Errno::ESRCH),
        };
        let thread = thread.filter(|_| process.id() != id);
        Ok(Target { process, thread })
    }

    /// Checks that it has not ended and that signals may be sent to it, with the `life` of its process locked.
    ///
    /// # Errors
    /// As [`check`].
    fn check(&self, life: &Life) -> Result<(), Errno> {
        let is_running = |thread: &Arc<Thread>| life.running().contains(thread);
        match () {
            () if !life.is_alive() => Err(Errno::ESRCH),
            () if !self.thread.as_ref().is_none_or(is_running) => Err(Errno::ESRCH),
            () if self.process.is_kernel() || exit::is_init(&self.process) => Err(Errno::EPERM),
            () => Ok(()),
        }
    }

    /// Whether all that it is for are about to end, which is never taken back.
    fn is_about_to_end(&self, life: &Life) -> bool {
        match &self.thread {
            Some(thread) => thread.is_dying(),
            None => life.running().iter().all(Thread::is_dying),
        }
    }
}
