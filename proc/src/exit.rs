//! How threads and processes end.
//!
//! The guarantee: when `waitpid` returns a child, all that the child held is free again: memory, kernel stacks, files,
//! the ids of its threads, and (once it is reaped) its own. When a thread has been joined, its id and its stack are
//! free.
//!
//! A process ends in three steps. Somebody *decides* how it ends: `exit`, a fault, a kill, or the end of the last
//! thread; the first decision stays, and every thread of the process is told, wherever it is: asleep, in a queue, or on
//! another CPU. Each thread *leaves* at its next return to user mode, in its own context, where it may still sleep: the
//! last one gives back the memory, closes the files and hands over the children. The next thread on that CPU *buries*
//! it, because only then is its stack free: it gives back the stack, and after the last burial publishes the zombie to
//! the parent. A thread that ends alone, by `exit_thread`, leaves and is buried in the same way, but its stack stays
//! until it is joined.
//!
//! - **EXIT-1** the zombie is published after everything else has been given back. Other CPUs may still have a
//!   reference to the thread, or later to the process: they have just switched away from it, try to wake it, or list
//!   it. They let go of it soon, since nobody sleeps or yields while he has a reference to somebody else's thread or
//!   process. Who buries the one and who reaps the other waits for that (`wait_for_references`).
//! - **EXIT-2** a process leaves its place in the family tree with its `parent` lock held, so it meets either its
//!   parent or, if that ends at the same time, `init`.
//! - **EXIT-3** whether a process ends, and which threads it has, are behind one lock (`Life`): a thread that is
//!   created meanwhile is told, or refused; one that ends meanwhile can be joined, or is forgotten. So none is left
//!   behind.
//! - **EXIT-4** threads are buried in any order, and the last burial, not that of the last to leave, publishes.

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
pub(crate) mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::ExitStatus;
use mm::frame::FrameKind;
use smp::cpu::CpuId;
use smp::cpu_set::CpuSet;
use smp::ipi::{self, Ipi};
use smp::irq;
use smp::list::ArcList;
use smp::pin::{self, Pinned};
use smp::wait::SpinWait;
use spin::Once;

use crate::process::Process;
use crate::signal;
use crate::table;
use crate::thread::{PROCESS_LINK, Thread};
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

/// Decides that `process` ends with `status`, unless that has been decided before. Its threads leave at their next
/// return to user mode, wherever they are now: on a CPU, in a queue or asleep.
pub fn end_process(process: &Process, status: ExitStatus) {
    let pin = pin::pin();
    let mut interrupted = CpuSet::new();
    let mut life = process.life.lock();
    if !life.decide(status) {
        return;
    }
    for thread in life.running().iter_arcs() {
        thread.attention.set_dying();
        if let Some(cpu) = busy_cpu(&thread, &pin) {
            interrupted.insert(cpu);
        }
        Thread::unpark(thread);
    }
    drop(life);
    if !interrupted.is_empty() {
        ipi::send_to_set(Ipi::Reschedule, &interrupted, &irq::disable());
    }
}

/// The other CPU that runs `thread` and has to be interrupted so that the thread sees what is wanted of it.
pub(crate) fn busy_cpu(thread: &Thread, pin: &Pinned) -> Option<CpuId> {
    // WANT-2: if it runs there, the interrupt brings it back into the kernel, where it finds what is wanted. If it has
    // moved, it has been in the kernel, and finds it on its way out.
    let cpu = thread.cpu_racy();
    (thread.is_running_racy() && cpu != pin.cpu()).then_some(cpu)
}

/// Ends the thread that calls this, at its next return to user mode. Who joins it gets `value`.
pub fn end_thread(thread: &Thread, value: usize) {
    thread.set_value(value);
    thread.attention.set_dying();
}

/// The thread's part in its end, in its own context.
pub(crate) fn leave_process(thread: &Thread) {
    let Some(process) = thread.process() else {
        return;
    };
    // EXIT-1: before the process counts the thread out, so that the last one of the process finds the memory given
    // back, whichever has done it.
    process.any_space().leave();
    signal::hand_over(process, thread);
    let status = ExitStatus::exited(thread.value() as i32);
    let unjoined = process.life.lock().leave(status);
    if let Some(unjoined) = unjoined {
        take_down(process, unjoined);
    }
}

/// The part of the process's last thread. `unjoined` are those that have ended and that nobody has joined.
fn take_down(process: &Arc<Process>, mut unjoined: ArcList<Thread, PROCESS_LINK>) {
    if is_init(process)
        && let Some(on_exit) = ON_INIT_EXIT.get()
    {
        let status = process.life.lock().status();
        on_exit(status.unwrap_or(ExitStatus::exited(0)));
    }
    while let Some(thread) = unjoined.pop_front() {
        forget(process, thread);
    }
    process.descriptors.close_all();
    process.offers.withdraw_all();
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

/// Gives back what is left of a thread that has ended and whose stack nobody uses any more, or lets it be joined. Runs
/// on the next thread.
pub(crate) fn bury(thread: Arc<Thread>) {
    let Some(process) = thread.process().cloned() else {
        return;
    };
    let can_be_joined = process.life.lock().end(&thread);
    if is_first(&process, &thread) {
        table::replace_thread_by_process(&process);
    }
    if can_be_joined {
        drop(thread);
    } else {
        forget(&process, thread);
    }
    // EXIT-4.
    let is_last = process.life.lock().bury();
    if is_last {
        publish(process);
    } else if can_be_joined {
        process.thread_ended.wake_all();
    }
}

/// Whether the process has its id from `thread`: then the entry in the table is the process's.
fn is_first(process: &Process, thread: &Thread) -> bool {
    process.id() == thread.id()
}

/// Frees the stack and the id of a thread that has been buried, or is just being, and is in no list any more.
pub(crate) fn forget(process: &Process, thread: Arc<Thread>) {
    if !is_first(process, &thread) {
        table::free(thread.id());
    }
    wait_for_references(&thread, 1);
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
    signal::notify_of_child(&parent);
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
