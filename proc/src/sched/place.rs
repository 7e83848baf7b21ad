//! Where a thread that wants to run is put.
//!
//! A woken thread goes back to the CPU that it ran on last, whose caches know it, if that one is idle or is the waker's
//! own; otherwise to an idle CPU; otherwise back after all. An idle CPU is interrupted, a busy one is not: it will look
//! at its queue soon enough.

use alloc::sync::Arc;

use smp::cpu::CpuId;
use smp::ipi::{self, Ipi};
use smp::pin::{self, Pinned};

use super::CPUS;
use super::idle_cpus::IdleCpus;
use super::run_queue::RunQueue;
use crate::thread::Thread;

/// Who sleeps, and may have to be interrupted.
pub(super) static IDLE: IdleCpus = IdleCpus::new();

/// Puts a woken thread into a run queue.
#[inline]
pub(super) fn enqueue(thread: Arc<Thread>) {
    let pin = pin::pin();
    if thread.was_last_on(pin.cpu()) && thread.may_run_on(pin.cpu()) {
        CPUS.get(&pin).queue.push(thread);
    } else {
        enqueue_elsewhere(thread, &pin);
    }
}

/// As `enqueue`, for a thread that ran on another CPU last, or may not run on this one.
#[inline(never)]
fn enqueue_elsewhere(thread: Arc<Thread>, pin: &Pinned) {
    let last = thread.cpu_racy();
    let stays = thread.may_run_on(last) && IDLE.contains_racy(last);
    let target = if stays { last } else { choose(&thread) };
    put(thread, target, pin.cpu());
}

/// Puts a thread that has run on this CPU and is suspended, or is new, into this CPU's queue if it may run here.
pub(super) fn requeue(thread: Arc<Thread>) {
    let pin = pin::pin();
    let here = pin.cpu();
    let target = if thread.may_run_on(here) {
        here
    } else {
        choose(&thread)
    };
    put(thread, target, here);
}

/// An idle CPU, or the one with the shortest queue.
fn choose(thread: &Thread) -> CpuId {
    let allowed = thread.affinity();
    if let Some(idle) = allowed.iter().find(|&cpu| IDLE.contains_racy(cpu)) {
        return idle;
    }
    let last = thread.cpu_racy();
    if allowed.contains(last) {
        return last;
    }
    allowed
        .iter()
        .min_by_key(|&cpu| CPUS.of(cpu).queue.len_racy())
        .unwrap_or(CpuId::BOOT)
}

fn put(thread: Arc<Thread>, target: CpuId, here: CpuId) {
    let queue = &CPUS.of(target).queue;
    if target == here {
        queue.push(thread);
    } else if IDLE.hand_over(thread, queue, target) {
        ipi::send(Ipi::Reschedule, target);
    }
}

/// Wakes one idle CPU that may take over a thread which waits in `queue`, so that it comes and steals.
pub(super) fn wake_one_idle(queue: &RunQueue) {
    let idle = IDLE.load_racy();
    let is_wanted = |&cpu: &CpuId| queue.has_racy(|thread| thread.may_run_on(cpu));
    if let Some(cpu) = idle.iter().find(is_wanted) {
        ipi::send(Ipi::Reschedule, cpu);
    }
}
