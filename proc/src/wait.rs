//! Waiting: a queue of threads that sleep until a condition holds.
//!
//! The guarantee: a thread in [`WaitQueue::wait_until`] returns soon after its condition has become true and somebody
//! has called `wake_one` or `wake_all` for it; no wake-up is lost, and none is spent on a thread that leaves for another
//! reason. A kill ends the wait with [`Interrupted`].
//!
//! - **WAIT-1** a waiter is in the queue before it looks at its condition for the last time; a waker changes the state
//!   first and looks into the queue afterwards. The queue's lock orders the two.
//! - **WAIT-2** a waiter that leaves without its condition passes on a wake-up that it was given.

use alloc::sync::Arc;

use abi::Errno;
use smp::list::ArcList;
use smp::lock::SpinLock;
use smp::rank;

use crate::sched;
use crate::thread::{Thread, WAIT_LINK};

/// A wait ended because the thread is being killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

impl From<Interrupted> for Errno {
    fn from(_: Interrupted) -> Errno {
        Errno::EINTR
    }
}

/// Threads that wait for something, first come first served.
pub struct WaitQueue {
    waiters: SpinLock<ArcList<Thread, WAIT_LINK>, rank::WaitQueue>,
}

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl WaitQueue {
    /// A queue in which nobody waits.
    pub const fn new() -> WaitQueue {
        WaitQueue { waiters: SpinLock::new(ArcList::new()) }
    }

    /// Sleeps until `condition` gives a value.
    ///
    /// The condition is called several times, without the queue's lock; it may take spin locks and must not sleep.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is being killed and the condition does not hold.
    pub fn wait_until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> Result<T, Interrupted> {
        if let Some(value) = condition() {
            return Ok(value);
        }
        let current = sched::current();
        loop {
            let outcome = self.wait_once(&current, &mut condition);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Sleeps until `condition` gives a value, whatever happens to the thread meanwhile: for short waits on something
    /// that another thread inside the kernel is about to do.
    pub fn wait_until_uninterruptible<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        loop {
            // A thread that is being killed does not park; it gives way and looks again.
            match self.wait_until(&mut condition) {
                Ok(value) => return value,
                Err(Interrupted) => sched::yield_now(),
            }
        }
    }

    /// One sleep: none if nothing is decided yet.
    fn wait_once<T>(
        &self,
        current: &Arc<Thread>,
        condition: &mut impl FnMut() -> Option<T>,
    ) -> Option<Result<T, Interrupted>> {
        current.parking.begin();
        self.waiters.lock().push_back(current.clone());
        // WAIT-1: the last look, from inside the queue.
        let found = condition();
        if found.is_some() || current.is_dying() {
            current.parking.cancel();
            self.leave(current, found.is_some());
            return Some(found.ok_or(Interrupted));
        }
        sched::block();
        let found = condition();
        let decided = found.is_some() || current.is_dying();
        self.leave(current, found.is_some() || !decided);
        decided.then(|| found.ok_or(Interrupted))
    }

    /// Takes `current` out of the queue. If a waker has done that already and the wake-up was `used` for nothing, the
    /// next waiter gets it (WAIT-2).
    fn leave(&self, current: &Thread, used: bool) {
        let still_queued = self.waiters.lock().remove(current).is_some();
        if !still_queued && !used {
            self.wake_one();
        }
    }

    /// Wakes the thread that has waited longest. Change what it waits for first.
    pub fn wake_one(&self) {
        let woken = self.waiters.lock().pop_front();
        if let Some(thread) = woken {
            sched::unpark(thread);
        }
    }

    /// Wakes all waiting threads. Change what they wait for first.
    pub fn wake_all(&self) {
        loop {
            let woken = self.waiters.lock().pop_front();
            match woken {
                Some(thread) => sched::unpark(thread),
                None => return,
            }
        }
    }
}
