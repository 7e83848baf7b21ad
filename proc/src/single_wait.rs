//! Waiting where one thread at most waits, since it has some right that the others wait for elsewhere: a place instead
//! of a queue.
//!
//! The guarantee is that of [`crate::wait`]: the thread returns soon after its condition has become true and somebody
//! has called `wake`, and no wake-up is lost. A signal or a kill ends the wait with [`Interrupted`].
//!
//! - **SINGLE-1** a waiter is in the place before it looks at its condition for the last time; a waker changes the
//!   state first and empties the place afterwards. Both are read-modify-writes of one word: either the waker finds the
//!   waiter, or the waiter sees what the waker has changed.
//! - **SINGLE-2** a waiter that goes on is not in the place any more. A waker that has taken it out may still be about
//!   to wake it: that ends a later sleep early, and all sleeps look again.

use smp::arc_slot::ArcSlot;

use crate::thread::Thread;
use crate::wait::{Interrupted, Waiter};

/// A place in which one thread waits for something.
pub struct SingleWait<W: Waiter = Thread> {
    waiter: ArcSlot<W>,
}

impl<W: Waiter> Default for SingleWait<W> {
    fn default() -> SingleWait<W> {
        SingleWait::new()
    }
}

impl<W: Waiter> SingleWait<W> {
    /// A place in which nobody waits.
    pub const fn new() -> SingleWait<W> {
        SingleWait {
            waiter: ArcSlot::new(),
        }
    }

    /// Sleeps until `condition` gives a value, which it has not just before. Nobody else waits here.
    ///
    /// The condition is called several times; it may take spin locks and must not sleep.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is to take a signal or to end, and the condition does not hold.
    #[inline]
    pub fn sleep_until<T>(
        &self,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, Interrupted> {
        let current = W::current();
        loop {
            current.parking().begin();
            if let Some(other) = self.waiter.put(current.clone()) {
                debug_assert!(false, "two threads wait where one can");
                W::unpark(other);
            }
            // First, as in `WaitQueue`: a signal that comes after the change does not hide it.
            let is_over = current.attention().is_interrupted();
            // SINGLE-1: the last look, from inside the place.
            let found = condition();
            if found.is_some() || is_over {
                current.parking().cancel();
                drop(self.waiter.take());
                return found.ok_or(Interrupted);
            }
            W::block();
            // SINGLE-2.
            drop(self.waiter.take());
            let is_over = current.attention().is_interrupted();
            if let Some(value) = condition() {
                return Ok(value);
            }
            if is_over {
                return Err(Interrupted);
            }
        }
    }

    /// Wakes the thread that waits, if there is one. Change what it waits for first.
    #[inline]
    pub fn wake(&self) {
        if let Some(waiter) = self.waiter.take() {
            W::unpark(waiter);
        }
    }
}
