//! The run queue of one CPU: threads that want to run there, first come first served.

use alloc::sync::Arc;

use smp::list::{ArcList, Linked};
use smp::lock::SpinLock;
use smp::rank;

use crate::sync::{AtomicUsize, Ordering};
use crate::thread::{RUN_LINK, Thread};

/// A run queue. Its CPU takes from the front; other CPUs put threads in and steal.
pub struct RunQueue<T: Linked<RUN_LINK> = Thread> {
    threads: SpinLock<ArcList<T, RUN_LINK>, rank::RunQueue>,
    /// The length, for others to look at without the lock. Changed with the lock held.
    len: AtomicUsize,
}

impl<T: Linked<RUN_LINK>> Default for RunQueue<T> {
    fn default() -> RunQueue<T> {
        RunQueue::new()
    }
}

impl<T: Linked<RUN_LINK>> RunQueue<T> {
    /// A queue with nothing in it.
    pub fn new() -> RunQueue<T> {
        RunQueue {
            threads: SpinLock::new(ArcList::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// Puts `thread` at the end.
    pub fn push(&self, thread: Arc<T>) {
        let mut threads = self.threads.lock();
        threads.push_back(thread);
        self.note_len(&threads);
    }

    /// Takes the first thread out, for the CPU whose queue this is.
    pub fn pop(&self) -> Option<Arc<T>> {
        if self.len_racy() == 0 {
            return None;
        }
        let mut threads = self.threads.lock();
        let thread = threads.pop_front();
        self.note_len(&threads);
        thread
    }

    /// Takes the first thread out for which `wanted` holds.
    pub fn take_first(&self, wanted: impl FnMut(&T) -> bool) -> Option<Arc<T>> {
        let mut threads = self.threads.lock();
        let thread = threads.pop_first_where(wanted);
        self.note_len(&threads);
        thread
    }

    /// Whether `wanted` holds for any thread here; stale at once.
    pub fn has_racy(&self, wanted: impl FnMut(&T) -> bool) -> bool {
        self.threads.lock().iter().any(wanted)
    }

    /// The length; stale at once, unless the caller's CPU has put a thread in, or IDLE-1 says so.
    pub fn len_racy(&self) -> usize {
        // Relaxed: whoever takes a thread does it with the lock. See also `IdleCpus`.
        self.len.load(Ordering::Relaxed)
    }

    fn note_len(&self, threads: &ArcList<T, RUN_LINK>) {
        // Relaxed: see `len_racy`.
        self.len.store(threads.len(), Ordering::Relaxed);
    }
}
