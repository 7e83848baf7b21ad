//! Turns: a lock without a value whose waiters sleep, made to cost next to nothing when nobody waits.
//!
//! The guarantee: one thread at a time has the turn, and when it gives it up one that waits goes on. Nothing is
//! promised about the order.
//!
//! - **TURN-1** who waits has marked the turn as wanted after it got into the queue and before it sleeps; who gives the
//!   turn up finds that mark in the same step, and wakes. So a mark is never left behind with somebody asleep.
//! - **TURN-2** who took the turn out of the queue leaves it marked, since others may still be there: one wake-up too
//!   many now and then.

#[cfg(all(test, loom))]
mod model;

use crate::sync::{AtomicU8, Ordering};
use crate::wait::{Interrupted, WaitQueue};

const FREE: u8 = 0;
const TAKEN: u8 = 1;
const WANTED: u8 = 2;

/// What one thread at a time has.
pub(crate) struct Turn {
    word: Word,
    waiters: WaitQueue,
}

/// The right that is given back when this is dropped.
#[must_use]
pub(crate) struct TurnGuard<'a>(&'a Turn);

impl Turn {
    /// A turn that nobody has.
    pub(crate) fn new() -> Turn {
        Turn {
            word: Word::new(),
            waiters: WaitQueue::new(),
        }
    }

    /// Sleeps until the turn is free, and takes it.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is to take a signal or to end meanwhile.
    #[inline]
    pub(crate) fn take(&self) -> Result<TurnGuard<'_>, Interrupted> {
        if !self.word.try_take() {
            self.wait()?;
        }
        Ok(TurnGuard(self))
    }

    /// As [`Turn::take`], but nothing else ends the wait: for who has to wait only for what ends by itself.
    pub(crate) fn take_uninterrupted(&self) -> TurnGuard<'_> {
        if !self.word.try_take() {
            self.waiters
                .wait_uninterrupted(|| self.word.take_or_want().then_some(()));
        }
        TurnGuard(self)
    }

    #[cold]
    fn wait(&self) -> Result<(), Interrupted> {
        self.waiters
            .wait_until(|| self.word.take_or_want().then_some(()))
    }
}

impl Drop for TurnGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.0.word.give_up_is_wanted() {
            self.0.waiters.wake_one();
        }
    }
}

/// Whether the turn is taken, and wanted by somebody else.
struct Word(AtomicU8);

impl Word {
    fn new() -> Word {
        Word(AtomicU8::new(FREE))
    }

    #[inline]
    fn try_take(&self) -> bool {
        // Acquire pairs with the Release of who gave it up: what that did under its turn is seen.
        self.0
            .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the turn if it is free, and marks it as wanted in any case (TURN-1, TURN-2).
    fn take_or_want(&self) -> bool {
        // Acquire as in `try_take`.
        self.0.swap(WANTED, Ordering::Acquire) == FREE
    }

    /// Frees the turn; true if somebody may be asleep.
    #[inline]
    fn give_up_is_wanted(&self) -> bool {
        // Release pairs with the Acquire of who takes it next. The exchange sees the mark, or comes before it: then the
        // marker finds the turn free.
        self.0.swap(FREE, Ordering::Release) == WANTED
    }
}
