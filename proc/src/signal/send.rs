//! Sending signals.

use alloc::sync::Arc;

use abi::{Errno, ExitStatus, Signal};
use smp::ipi::{self, Ipi};
use smp::pin;

use crate::exit;
use crate::process::Process;
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};
use crate::wait::Waiter;

/// Whom a signal is for.
enum Target {
    /// One thread.
    Thread(Arc<Thread>, Arc<Process>),
    /// Whichever thread of a process can take it.
    Process(Arc<Process>),
}

/// Sends `signal` to what is behind `id`: a process, or one thread. Without a handler the process ends.
///
/// # Errors
/// `ESRCH` if there is no such process or thread, or it has ended; `EPERM` for `init` and processes of the kernel; `EAGAIN`
/// if whoever could take the signal is in a handler and it is not SIGKILL. Nothing has changed then.
pub fn kill(id: Id, signal: Signal) -> Result<(), Errno> {
    let target = find(id)?;
    let process = target.process();
    if signal == Signal::SIGKILL {
        exit::end_process(process, ExitStatus::killed(signal));
        return Ok(());
    }
    let has_handler = process.handlers.get(signal).is_some();
    let can_take = |thread: &Arc<Thread>| match has_handler {
        true => thread.attention.post(signal).is_ok(),
        false => !thread.attention.is_in_handler(),
    };
    let taker = match &target {
        Target::Thread(thread, _) => Some(thread.clone()).filter(can_take),
        Target::Process(process) => process.life.lock().running().iter_arcs().find(can_take),
    };
    match taker {
        Some(thread) if has_handler => rouse(thread),
        // SIGNAL-3.
        Some(_) if signal != Signal::SIGCHLD => {
            exit::end_process(process, ExitStatus::killed(signal));
        }
        // Or it has begun to end: then the signal comes too late to change anything.
        None if target.is_alive() => return Err(Errno::EAGAIN),
        _ => {}
    }
    Ok(())
}

/// Sends `signal` to all children of the process `parent`.
pub fn kill_children(parent: Id, signal: Signal) {
    table::for_each(|id, _| {
        let process = table::find_process(id);
        if process.is_some_and(|process| process.parent_id() == parent) {
            // One that has ended just now, is in a handler, or is the kernel's own, stays as it is.
            let _ = kill(id, signal);
        }
    });
}

/// Whether a signal could be sent to `id`.
///
/// # Errors
/// `ESRCH` if there is no such process or thread, or it has ended; `EPERM` for `init` and processes of the kernel.
pub fn check(id: Id) -> Result<(), Errno> {
    find(id).map(drop)
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

/// Posts `signal` to the first thread of `process` that is in no handler. If each is in one, the first takes it when it has
/// left that.
fn post_for_certain(process: &Process, signal: Signal) {
    let life = process.life.lock();
    let mut threads = life.running().iter_arcs();
    let taker = threads
        .find(|thread| thread.attention.post(signal).is_ok())
        .or_else(|| {
            let mut threads = life.running().iter_arcs();
            threads.find(|thread| thread.attention.post_for_later(signal).is_ok())
        });
    drop(threads);
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

/// What is behind `id`, if signals may be sent to it.
///
/// # Errors
/// As [`check`].
fn find(id: Id) -> Result<Target, Errno> {
    let target = match table::find(id) {
        Entry::Thread(thread) => match thread.process().cloned() {
            Some(process) if process.id() == id => Target::Process(process),
            Some(process) => Target::Thread(thread, process),
            None => return Err(Errno::ESRCH),
        },
        Entry::Process(process) => Target::Process(process),
        Entry::Free | Entry::Reserved => return Err(Errno::ESRCH),
    };
    let process = target.process();
    match () {
        () if !target.is_alive() => Err(Errno::ESRCH),
        () if process.is_kernel() || exit::is_init(process) => Err(Errno::EPERM),
        () => Ok(target),
    }
}

impl Target {
    fn process(&self) -> &Arc<Process> {
        match self {
            Target::Thread(_, process) | Target::Process(process) => process,
        }
    }

    /// Whether it has not ended.
    fn is_alive(&self) -> bool {
        let life = self.process().life.lock();
        life.is_alive()
            && match self {
                Target::Thread(thread, _) => life.running().contains(thread),
                Target::Process(_) => true,
            }
    }
}
