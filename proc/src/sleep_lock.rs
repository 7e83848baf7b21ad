//! A lock whose waiters sleep: for what is held across a copy to or from user memory.
//!
//! Whoever holds the lock has the value: locking takes it out, unlocking puts it back and wakes the next waiter.

use core::ops::{Deref, DerefMut};

use smp::lock::SpinLock;
use smp::rank;

use crate::wait::{Interrupted, WaitQueue};

/// A value for one thread at a time. Values are moved in and out, so they should be small.
pub struct SleepLock<T> {
    /// `None` while somebody holds the lock.
    value: SpinLock<Option<T>, rank::SleepLock>,
    waiters: WaitQueue,
}

impl<T> SleepLock<T> {
    /// An unlocked lock around `value`.
    pub const fn new(value: T) -> SleepLock<T> {
        SleepLock { value: SpinLock::new(Some(value)), waiters: WaitQueue::new() }
    }

    /// Sleeps until the value is free, and takes it.
    ///
    /// # Errors
    /// [`Interrupted`] if the thread is being killed meanwhile.
    pub fn lock(&self) -> Result<SleepGuard<'_, T>, Interrupted> {
        let value = self.waiters.wait_until(|| self.value.lock().take())?;
        Ok(SleepGuard { lock: self, value: Some(value) })
    }

    /// Sleeps until the value is free, and takes it, even if the thread is being killed.
    pub fn lock_uninterruptible(&self) -> SleepGuard<'_, T> {
        let value = self.waiters.wait_until_uninterruptible(|| self.value.lock().take());
        SleepGuard { lock: self, value: Some(value) }
    }
}

/// The right to use the value of a [`SleepLock`].
#[must_use]
pub struct SleepGuard<'a, T> {
    lock: &'a SleepLock<T>,
    /// `Some` until the guard is dropped.
    value: Option<T>,
}

impl<T> Deref for SleepGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a guard has its value until it is dropped"),
        }
    }
}

impl<T> DerefMut for SleepGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("a guard has its value until it is dropped"),
        }
    }
}

impl<T> Drop for SleepGuard<'_, T> {
    fn drop(&mut self) {
        *self.lock.value.lock() = self.value.take();
        self.lock.waiters.wake_one();
    }
}
