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

    /// Takes the first thread out and puts `running` at the end, for the CPU whose queue this is and which runs that
    /// one; or drops it if there is no other (RUN-2).
    pub fn exchange(&self, running: Arc<T>) -> Option<Arc<T>> {
        let mut threads = self.threads.lock();
        let next = threads.pop_front()?;
        threads.push_back(running);
        Some(next)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use proptest::prelude::{any, prop_assert_eq, proptest};
    use smp::list::{Link, Linked};

    use super::{RUN_LINK, RunQueue};

    struct Job {
        number: u8,
        link: Link<Job>,
    }

    impl Linked<RUN_LINK> for Job {
        fn link(&self) -> &Link<Job> {
            &self.link
        }
    }

    fn job(number: u8) -> Arc<Job> {
        let link = Link::new();
        Arc::new(Job { number, link })
    }

    fn number(job: Option<Arc<Job>>) -> Option<u8> {
        job.map(|job| job.number)
    }

    proptest! {
        #[test]
        fn a_run_queue_is_a_queue_from_which_any_can_be_taken(
            steps in proptest::collection::vec((0..5_u8, any::<u8>()), 0..60)
        ) {
            let (queue, mut model) = (RunQueue::new(), VecDeque::new());
            for (step, value) in steps {
                let small = |number: &u8| *number < value;
                match step {
                    0 | 1 => {
                        queue.push(job(value));
                        model.push_back(value);
                    }
                    2 => prop_assert_eq!(number(queue.pop()), model.pop_front()),
                    3 => {
                        let next = model.pop_front();
                        model.extend(next.map(|_| value));
                        prop_assert_eq!(number(queue.exchange(job(value))), next);
                    }
                    _ => {
                        let place = model.iter().position(small);
                        prop_assert_eq!(queue.has_racy(|job| small(&job.number)), place.is_some());
                        let taken = queue.take_first(|job| small(&job.number));
                        prop_assert_eq!(number(taken), place.and_then(|place| model.remove(place)));
                    }
                }
                prop_assert_eq!(queue.len_racy(), model.len());
            }
        }
    }
}
