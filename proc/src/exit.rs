//! How processes end.
//!
//! The guarantee: when `waitpid` returns a child, all that the child held is free again: memory, kernel stack, files,
//! and (once it is reaped) its id.
//!
//! A process ends in three steps. Somebody *decides* how it ends: `exit`, a fault, or a kill; the first decision stays,
//! and every thread of the process is told. Each thread *leaves* at its next return to user mode, in its own context,
//! where it may still sleep: the last one gives back the memory, closes the files and hands over the children. The next
//! thread on that CPU *buries* it, because only then is its stack free: it gives back the stack and publishes the zombie
//! to the parent.
//!
//! - **EXIT-1** the zombie is published after everything else has been given back. Other CPUs may still have a reference
//!   to the thread, or later to the process: they have just switched away from it, try to wake it, or list it. They let go
//!   of it soon, since nobody sleeps while he has a reference to somebody else's thread or process. Who buries the one and
//!   who reaps the other waits for that (`wait_for_references`).
//! - **EXIT-2** a process leaves its place in the family tree with its `parent` lock held, so it meets either its
//!   parent or, if that ends at the same time, `init`.

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
pub(crate) mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::ExitStatus;
use mm::frame::FrameKind;
use smp::ipi::{self, Ipi};
use smp::pin;
use smp::wait::SpinWait;
use spin::Once;

use crate::process::Process;
use crate::table;
use crate::thread::Thread;
use crate::wait::Waiter;

static INIT: Once<Arc<Process>> = Once::new();
static ON_INIT_EXIT: Once<fn(ExitStatus) -> !> = Once::new();

/// Names the process that adopts orphans, and what happens when it ends.
pub(crate) fn set_init(init: Arc<Process>, on_exit: fn(ExitStatus) -> !) {
    INIT.call_once(|| init);
    ON_INIT_EXIT.call_once(|| on_exit);
}

/// Whether `process` is `init`.
pub(crate) fn is_init(process: &Process) -> bool {
    INIT.get().is_some_and(|init| init.id() == process.id())
}

/// Decides that the process of `thread`, which calls this, ends with `status`. It leaves at its next return to user
/// mode.
pub fn decide(thread: &Thread, status: ExitStatus) {
    if let Some(process) = thread.process() {
        process.decide_status(status);
    }
    thread.attention.set_dying();
}

/// Ends another thread, wherever it is: in user mode, in a queue or asleep.
pub(crate) fn kill_thread(thread: Arc<Thread>, status: ExitStatus) {
    decide(&thread, status);
    let pin = pin::pin();
    let cpu = thread.cpu_racy();
    // WANT-2: if it runs there, the interrupt brings it back into the kernel, where it finds the decision. If it has moved,
    // it has been in the kernel, and finds it on its way out.
    if cpu != pin.cpu() {
        ipi::send(Ipi::Reschedule, cpu);
    }
    Thread::unpark(thread);
}

/// The thread's part in the end of its process, in its own context.
pub(crate) fn leave_process(thread: &Thread) {
    let Some(process) = thread.process() else {
        return;
    };
    // EXIT-1: before the process counts the thread out, so that the last one of the process finds the memory given back,
    // whichever has done it.
    process.any_space().leave();
    if process.thread_ended() {
        take_down(process);
    }
}

/// The part of the process's last thread.
fn take_down(process: &Arc<Process>) {
    if is_init(process)
        && let Some(on_exit) = ON_INIT_EXIT.get()
    {
        on_exit(process.status().unwrap_or(ExitStatus::exited(0)));
    }
    process.descriptors.close_all();
    if let Some(init) = INIT.get() {
        give_children(process, init);
    }
    // Relaxed: set at boot.
    if IS_LEAKING.load(Ordering::Relaxed) {
        core::mem::forget(mm::frame::alloc(FrameKind::Anonymous));
    }
}

/// Whether each process that ends loses a frame (`break=leak`).
static IS_LEAKING: AtomicBool = AtomicBool::new(false);

/// Makes each process that ends lose a frame (`break=leak`).
pub fn break_leak() {
    // Relaxed: set at boot, before the first process.
    IS_LEAKING.store(true, Ordering::Relaxed);
}

/// Gives every child, running or ended, to `init`.
fn give_children(process: &Process, init: &Arc<Process>) {
    while let Some(orphan) = first_child(process) {
        let mut parent = orphan.parent.lock();
        // EXIT-2: while its `parent` is locked, the child is not published as a zombie.
        let (child, ended) = {
            let mut family = process.family.lock();
            match family.alive.remove(&orphan) {
                Some(child) => (child, false),
                None => match family.zombies.remove(&orphan) {
                    Some(child) => (child, true),
                    None => continue,
                },
            }
        };
        let mut family = init.family.lock();
        if ended {
            family.zombies.push_back(child)
        } else {
            family.alive.push_back(child)
        }
        drop(family);
        orphan.set_parent(&mut parent, init.clone());
        drop(parent);
        if ended {
            init.child_ended.wake_all();
        }
    }
}

fn first_child(process: &Process) -> Option<Arc<Process>> {
    let family = process.family.lock();
    family
        .alive
        .front_arc()
        .or_else(|| family.zombies.front_arc())
}

/// Gives back what is left of a thread that has ended and whose stack nobody uses any more. Runs on the next thread.
pub(crate) fn bury(thread: Arc<Thread>) {
    let Some(process) = thread.process().cloned() else {
        return;
    };
    table::replace_thread_by_process(&process);
    wait_for_references(&thread, 1);
    drop(thread);
    publish(process);
}

/// Tells the parent of an ended process. If there is none, nobody asks for the status.
fn publish(process: Arc<Process>) {
    let parent_lock = process.parent.lock();
    let Some(parent) = parent_lock.clone() else {
        drop(parent_lock);
        return table::free(process.id());
    };
    let mut family = parent.family.lock();
    // EXIT-2: from here on the parent's `family` lock keeps the process in its place.
    drop(parent_lock);
    let child = family.alive.remove(&process);
    // EXIT-1: whoever reaps the zombie drops the last reference, not this CPU.
    drop(process);
    if let Some(child) = child {
        family.zombies.push_back(child);
    }
    drop(family);
    parent.child_ended.wake_all();
}

/// Waits until there are no more than `known` references to `ended`, which nobody can find any more (EXIT-1).
#[inline]
pub(crate) fn wait_for_references<T>(ended: &Arc<T>, known: usize) {
    if Arc::strong_count(ended) > known {
        wait_for_others(ended, known);
    }
}

#[cold]
fn wait_for_others<T>(ended: &Arc<T>, known: usize) {
    let mut wait = SpinWait::new();
    while Arc::strong_count(ended) > known {
        if !wait.turn() {
            // Somebody sleeps with a reference. Then its memory comes back later than it should.
            debug_assert!(false, "EXIT-1: a reference to what has ended is kept");
            return;
        }
    }
}
