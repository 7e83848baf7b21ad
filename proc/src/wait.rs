//! Waiting: a queue of threads that sleep until a condition holds.
//!
//! The guarantee: a thread in [`WaitQueue::wait_until`] returns soon after its condition has become true and somebody
//! has called `wake_one` or `wake_all` for it; no wake-up is lost, and none is spent on a thread that leaves for
//! another reason. A signal or a kill ends the wait with [`Interrupted`], unless it is
//! [`WaitQueue::wait_uninterrupted`].
//!
//! - **WAIT-1** a waiter is in the queue before it looks at its condition for the last time; a waker changes the state
//!   first and looks into the queue afterwards. The queue's lock orders the two.
//! - **WAIT-2** a waiter that a waker takes out of the queue looks at its condition after that, or passes the wake-up
//!   on: it may have found what it wanted just before, and the wake-up was for something else.

use alloc::sync::Arc;

use abi::Errno;
use smp::list::{ArcList, Linked};
use smp::lock::SpinLock;
use smp::rank;

use crate::attention::Attention;
use crate::parking::{Parking, Unpark};
use crate::thread::{Thread, WAIT_LINK};

/// A wait ended because the thread is to take a signal, or to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

impl From<Interrupted> for Errno {
    fn from(_: Interrupted) -> Errno {
        Errno::EINTR
    }
}

/// Who can wait: a thread, or what stands for one in a model.
pub trait Waiter: Linked<WAIT_LINK> + Send + Sync + 'static {
    /// Who calls this.
    fn current() -> Arc<Self>;
    /// Its state of sleep.
    fn parking(&self) -> &Parking;
    /// What others want of it.
    fn attention(&self) -> &Attention;
    /// Gives the CPU of the caller, who has announced that to its `parking`, to somebody else until the caller is
    /// enqueued.
    fn block();
    /// Lets one run that slept.
    fn enqueue(waiter: Arc<Self>);

    /// Wakes one if it sleeps. One that is about to sleep will not.
    #[inline]
    fn unpark(waiter: Arc<Self>) {
        match waiter.parking().unpark() {
            Unpark::Nothing => drop(waiter),
            Unpark::Enqueue => Self::enqueue(waiter),
        }
    }
}

/// Threads that wait for something, first come first served.
pub struct WaitQueue<W: Waiter = Thread> {
    waiters: SpinLock<ArcList<W, WAIT_LINK>, rank::WaitQueue>,
}

impl<W: Waiter> Default for WaitQueue<W> {
    fn default() -> WaitQueue<W> {
        WaitQueue::new()
    }
}

impl<W: Waiter> WaitQueue<W> {
    /// A queue in which nobody waits.
    pub const fn new() -> WaitQueue<W> {
        WaitQueue {
            waiters: SpinLock::new(ArcList::new()),
        }
    }

    /// Sleeps until `condition` gives a value.
    ///
    /// The condition is called several times, without the queue's lock; it may take spin locks and must not sleep.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is to take a signal or to end, and the condition does not hold.
    pub fn wait_until<T>(&self, condition: impl FnMut() -> Option<T>) -> Result<T, Interrupted> {
        self.wait(condition, Attention::is_interrupted)
    }

    /// As [`WaitQueue::wait_until`], but nothing else ends the wait: for what ends soon.
    pub fn wait_uninterrupted<T>(&self, condition: impl FnMut() -> Option<T>) -> T {
        match self.wait(condition, |_| false) {
            Ok(value) => value,
            Err(Interrupted) => unreachable!("nothing interrupts this wait"),
        }
    }

    #[inline]
    fn wait<T>(
        &self,
        mut condition: impl FnMut() -> Option<T>,
        is_over: impl Fn(&Attention) -> bool,
    ) -> Result<T, Interrupted> {
        smp::pin::assert_may_switch();
        if let Some(value) = condition() {
            return Ok(value);
        }
        let current = W::current();
        loop {
            let outcome = self.wait_once(&current, &mut condition, &is_over);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// One sleep: none if nothing is decided yet.
    fn wait_once<T>(
        &self,
        current: &Arc<W>,
        condition: &mut impl FnMut() -> Option<T>,
        is_over: &impl Fn(&Attention) -> bool,
    ) -> Option<Result<T, Interrupted>> {
        current.parking().begin();
        self.waiters.lock().push_back(current.clone());
        // First: who has changed the state and then sent a signal has had an effect, and not a signal instead.
        let is_over_now = is_over(current.attention());
        // WAIT-1: the last look, from inside the queue.
        let found = condition();
        if found.is_some() || is_over_now {
            current.parking().cancel();
            if !self.leave(current) {
                // WAIT-2: nobody knows which came first, the look or the wake-up.
                self.wake_one();
            }
            return Some(found.ok_or(Interrupted));
        }
        W::block();
        // WAIT-2: out of the queue first, then the look. Who is outside has nothing to pass on.
        self.leave(current);
        let is_over_now = is_over(current.attention());
        match condition() {
            Some(value) => Some(Ok(value)),
            None => is_over_now.then_some(Err(Interrupted)),
        }
    }

    /// Takes `current` out of the queue. False if a waker has done that already.
    fn leave(&self, current: &W) -> bool {
        self.waiters.lock().remove(current).is_some()
    }

    /// Wakes the thread that has waited longest. Change what it waits for first.
    pub fn wake_one(&self) {
        let woken = self.waiters.lock().pop_front();
        if let Some(waiter) = woken {
            W::unpark(waiter);
        }
    }

    /// Wakes all waiting threads. Change what they wait for first.
    pub fn wake_all(&self) {
        // With the lock, so that nobody who comes back is woken again.
        let mut waiters = self.waiters.lock();
        while let Some(waiter) = waiters.pop_front() {
            W::unpark(waiter);
        }
    }
}
