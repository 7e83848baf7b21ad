//! Balance between the CPUs' run queues.
//!
//! An idle CPU steals at once. A busy one pulls, now and then, one waiting thread from a CPU whose queue is at least as
//! long as its own: so the time is shared evenly also among threads that do not divide evenly over the CPUs, and no
//! thread is stuck with a bad neighbour.

use alloc::sync::Arc;

use smp::cpu::CpuId;

use super::{CPUS, place};
use crate::thread::Thread;

/// Takes a thread from another CPU's queue, for an idle `thief`.
pub(super) fn steal(thief: CpuId) -> Option<Arc<Thread>> {
    others(thief).find_map(|victim| {
        let queue = &CPUS.of(victim).queue;
        (len_to_take_racy(victim) != 0)
            .then(|| queue.take_first(|thread| can_come(thread, thief)))
            .flatten()
    })
}

/// Takes a thread for the busy CPU `cpu`, whose own queue is `own_len` long, from one whose queue is at least as long
/// and has a thread that may come. With `turn`, which should be another one each time, the first victim changes.
pub(super) fn pull(cpu: CpuId, own_len: usize, turn: u64) -> Option<Arc<Thread>> {
    let enough = own_len.max(1);
    let count = smp::cpu::count();
    let mut victims = others(cpu)
        .cycle()
        .skip(turn as usize % count)
        .take(count - 1);
    victims.find_map(|victim| {
        let queue = &CPUS.of(victim).queue;
        (len_to_take_racy(victim) >= enough)
            .then(|| queue.take_first(|thread| can_come(thread, cpu)))
            .flatten()
    })
}

/// How many threads wait in the queue of `victim`, but one if it is idle: for that one it has been interrupted.
fn len_to_take_racy(victim: CpuId) -> usize {
    let own = usize::from(place::IDLE.contains_racy(victim));
    CPUS.of(victim).queue.len_racy().saturating_sub(own)
}

/// Whether `thread`, which waits in another CPU's queue, may run on `cpu`, and could do so now (RUN-2).
fn can_come(thread: &Thread, cpu: CpuId) -> bool {
    thread.may_run_on(cpu) && !thread.is_running_racy()
}

/// All CPUs but `cpu`, beginning with the next one, so that thieves spread over their victims.
fn others(cpu: CpuId) -> impl Iterator<Item = CpuId> + Clone {
    let (own, count) = (cpu.index(), smp::cpu::count());
    (own + 1..own + count)
        .map(move |place| CpuId::new(if place < count { place } else { place - count }))
}
