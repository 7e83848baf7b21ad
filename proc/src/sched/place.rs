//! Where a thread that wants to run is put.
//!
//! A woken thread goes back to the CPU that it ran on last, whose caches know it, if that one is idle or is the waker's
//! own; otherwise to an idle CPU; otherwise back after all. An idle CPU is interrupted, a busy one is not: it will look
//! at its queue soon enough.

use alloc::sync::Arc;

use smp::cpu::CpuId;
use smp::cpu_set::{AtomicCpuSet, CpuSet};
use smp::ipi::{self, Ipi};
use smp::pin;

use super::CPUS;
use crate::thread::Thread;

/// The CPUs that halt or are about to (IDLE-1).
static IDLE: AtomicCpuSet = AtomicCpuSet::new();

/// Publishes that `cpu` is idle. It must look at its queue once more before it halts.
pub(super) fn set_idle(cpu: CpuId) {
    // A SeqCst read-modify-write: IDLE-1, pairs with `RunQueue::push`.
    IDLE.fetch_insert(cpu);
}

/// `cpu` is busy again.
pub(super) fn clear_idle(cpu: CpuId) {
    IDLE.fetch_remove(cpu);
}

/// Puts a woken thread into a run queue.
pub(super) fn enqueue(thread: Arc<Thread>) {
    let pin = pin::pin();
    let (here, last) = (pin.cpu(), thread.cpu_racy());
    let stays = thread.may_run_on(last) && (last == here || IDLE.contains(last));
    let target = if stays { last } else { choose(&thread) };
    put(thread, target, here);
}

/// Puts a thread that has run on this CPU, or is new, into this CPU's queue if it may run here.
pub(super) fn requeue(thread: Arc<Thread>) {
    let pin = pin::pin();
    let here = pin.cpu();
    let target = if thread.may_run_on(here) { here } else { choose(&thread) };
    put(thread, target, here);
}

/// An idle CPU, or the one with the shortest queue.
fn choose(thread: &Thread) -> CpuId {
    let allowed = thread.affinity();
    if let Some(idle) = allowed.iter().find(|&cpu| IDLE.contains(cpu)) {
        return idle;
    }
    let last = thread.cpu_racy();
    if allowed.contains(last) {
        return last;
    }
    allowed.iter().min_by_key(|&cpu| CPUS.of(cpu).queue.len_racy()).unwrap_or(CpuId::BOOT)
}

fn put(thread: Arc<Thread>, target: CpuId, here: CpuId) {
    CPUS.of(target).queue.push(thread);
    if target != here && IDLE.contains(target) {
        ipi::send(Ipi::Reschedule, target);
    }
}

/// Wakes one idle CPU that may take over a thread which waits here, so that it comes and steals.
pub(super) fn wake_one_idle() {
    let idle: CpuSet = IDLE.load();
    if let Some(cpu) = idle.iter().next() {
        ipi::send(Ipi::Reschedule, cpu);
    }
}
