//! The run queue of one CPU: threads that want to run there, first come first served.

use alloc::sync::Arc;

use smp::cpu::CpuId;
use smp::list::ArcList;
use smp::lock::SpinLock;
use smp::rank;

use crate::sync::{AtomicUsize, Ordering};
use crate::thread::{RUN_LINK, Thread};

/// A run queue. Its CPU takes from the front; other CPUs put threads in and steal.
pub(super) struct RunQueue {
    threads: SpinLock<ArcList<Thread, RUN_LINK>, rank::RunQueue>,
    /// The length, for others to look at without the lock. Changed with the lock held.
    len: AtomicUsize,
}

impl RunQueue {
    pub(super) fn new() -> RunQueue {
        RunQueue { threads: SpinLock::new(ArcList::new()), len: AtomicUsize::new(0) }
    }

    pub(super) fn push(&self, thread: Arc<Thread>) {
        let mut threads = self.threads.lock();
        threads.push_back(thread);
        // SeqCst, as a read-modify-write: pairs with an idle CPU that publishes its idleness and then looks here
        // (IDLE-1): either it sees this thread, or the caller sees the idle CPU and interrupts it.
        self.len.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn pop(&self) -> Option<Arc<Thread>> {
        if self.len_racy() == 0 {
            return None;
        }
        let mut threads = self.threads.lock();
        let thread = threads.pop_front()?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(thread)
    }

    /// Takes the first thread that may run on `cpu`.
    pub(super) fn steal_for(&self, cpu: CpuId) -> Option<Arc<Thread>> {
        let mut threads = self.threads.lock();
        let stolen = threads.pop_first_where(|thread| thread.may_run_on(cpu))?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(stolen)
    }

    /// The length a moment ago. SeqCst: see `push`.
    pub(super) fn len_racy(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }
}
