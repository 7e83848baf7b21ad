//! Which CPUs have nothing to run, and how one of them falls asleep without missing a thread that is put into its
//! queue.
//!
//! The guarantee: a thread that is put into the queue of a CPU that is idle, or just becomes so, runs soon. Either the
//! CPU sees the thread before it halts, or whoever put it there sees that the CPU is idle and interrupts it.
//!
//! - **IDLE-1** a CPU that goes idle publishes that first and looks at its queue afterwards; who puts a thread there
//!   does it the other way round. Both have a SeqCst fence in between, so one of the two sees the other.

use alloc::sync::Arc;

use smp::cpu::CpuId;
use smp::cpu_set::{AtomicCpuSet, CpuSet};
use smp::list::Linked;

use super::run_queue::RunQueue;
use crate::sync::{Ordering, fence};
use crate::thread::RUN_LINK;

/// The CPUs that halt or are about to.
pub struct IdleCpus(AtomicCpuSet);

impl Default for IdleCpus {
    fn default() -> IdleCpus {
        IdleCpus::new()
    }
}

impl IdleCpus {
    /// No CPU is idle.
    pub const fn new() -> IdleCpus {
        IdleCpus(AtomicCpuSet::new())
    }

    /// Calls `halt`, which returns after an interrupt, unless there is something in `queue`. For the CPU `cpu`, whose
    /// queue that is; interrupts that come before `halt` wait for it.
    pub fn rest<T: Linked<RUN_LINK>>(&self, cpu: CpuId, queue: &RunQueue<T>, halt: impl FnOnce()) {
        self.0.fetch_insert(cpu);
        // IDLE-1: pairs with the fence in `hand_over`.
        fence(Ordering::SeqCst);
        if queue.len_racy() == 0 {
            halt();
        }
        self.0.fetch_remove(cpu);
    }

    /// Puts `thread` into `queue`, that of `target`, another CPU than the caller's. True if `target` has to be
    /// interrupted.
    #[must_use]
    pub fn hand_over<T: Linked<RUN_LINK>>(
        &self,
        thread: Arc<T>,
        queue: &RunQueue<T>,
        target: CpuId,
    ) -> bool {
        queue.push(thread);
        // IDLE-1: pairs with the fence in `rest`.
        fence(Ordering::SeqCst);
        self.0.contains(target)
    }

    /// Whether `cpu` is idle; stale at once.
    pub fn contains_racy(&self, cpu: CpuId) -> bool {
        self.0.contains(cpu)
    }

    /// The idle CPUs; stale at once.
    pub fn load_racy(&self) -> CpuSet {
        self.0.load()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use smp::cpu::CpuId;
    use smp::cpu_set::CpuSet;
    use smp::list::{Link, Linked};

    use super::{IdleCpus, RUN_LINK, RunQueue};

    #[derive(Default)]
    struct Job(Link<Job>);

    impl Linked<RUN_LINK> for Job {
        fn link(&self) -> &Link<Job> {
            &self.0
        }
    }

    #[test]
    fn a_cpu_is_idle_while_it_halts_and_is_interrupted_only_then() {
        let (idle, queue, cpu) = (IdleCpus::new(), RunQueue::new(), CpuId::new(3));
        assert!(!idle.hand_over(Arc::new(Job::default()), &queue, cpu));
        assert!(queue.pop().is_some());
        let mut is_halted = false;
        idle.rest(cpu, &queue, || {
            is_halted = true;
            assert_eq!(idle.load_racy(), CpuSet::single(cpu));
            assert!(!idle.hand_over(Arc::new(Job::default()), &RunQueue::new(), CpuId::BOOT));
            assert!(idle.hand_over(Arc::new(Job::default()), &queue, cpu));
        });
        assert!(is_halted && !idle.contains_racy(cpu));
    }

    #[test]
    fn a_cpu_with_something_in_its_queue_does_not_halt() {
        let (idle, queue) = (IdleCpus::new(), RunQueue::new());
        queue.push(Arc::new(Job::default()));
        idle.rest(CpuId::BOOT, &queue, || panic!("halted"));
        assert!(idle.load_racy().is_empty());
    }
}
