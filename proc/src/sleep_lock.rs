//! A lock whose waiters sleep: for what is held across a copy to or from user memory.
//!
//! Whoever holds the lock has the value: locking takes it out, unlocking puts it back and wakes the next waiter.

use core::ops::{Deref, DerefMut};

use smp::lock::SpinLock;
use smp::rank;

use crate::thread::Thread;
use crate::wait::{Interrupted, WaitQueue, Waiter};

/// A value for one thread at a time. Values are moved in and out, so they should be small.
pub struct SleepLock<T, W: Waiter = Thread> {
    /// `None` while somebody holds the lock.
    value: SpinLock<Option<T>, rank::SleepLock>,
    waiters: WaitQueue<W>,
}

impl<T, W: Waiter> SleepLock<T, W> {
    /// An unlocked lock around `value`.
    pub const fn new(value: T) -> SleepLock<T, W> {
        SleepLock {
            value: SpinLock::new(Some(value)),
            waiters: WaitQueue::new(),
        }
    }

    /// Sleeps until the value is free, and takes it.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is to take a signal or to end meanwhile.
    pub fn lock(&self) -> Result<SleepGuard<'_, T, W>, Interrupted> {
        let value = self.waiters.wait_until(|| self.value.lock().take())?;
        Ok(SleepGuard {
            lock: self,
            value: Some(value),
        })
    }
}

/// The right to use the value of a [`SleepLock`].
#[must_use]
pub struct SleepGuard<'a, T, W: Waiter = Thread> {
    lock: &'a SleepLock<T, W>,
    /// `Some` until the guard is dropped.
    value: Option<T>,
}

impl<T, W: Waiter> Deref for SleepGuard<'_, T, W> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a guard has its value until it is dropped"),
        }
    }
}

impl<T, W: Waiter> DerefMut for SleepGuard<'_, T, W> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("a guard has its value until it is dropped"),
        }
    }
}

impl<T, W: Waiter> Drop for SleepGuard<'_, T, W> {
    fn drop(&mut self) {
        *self.lock.value.lock() = self.value.take();
        self.lock.waiters.wake_one();
    }
}
