//! Waiting until what a mutex guards is as one wants it.
//!
//! The guarantee: a thread that waits is woken by every notification of all, and one of those that wait by a
//! notification of one, if the notification comes after the thread has given up the mutex. So whoever changes the value
//! with the mutex held and notifies afterwards leaves nobody asleep who has looked at the value before. A wait may also
//! end for no reason.
//!
//! - **CONDVAR-1** a waiter reads the number of notifications while it still has the mutex, and sleeps only as long as
//!   that number stays. A notification changes it first, and then wakes.

use core::sync::atomic::{AtomicU32, Ordering};

use super::MutexGuard;
use crate::futex;

/// A place where threads wait for a change of the value of a [`Mutex`](super::Mutex).
#[derive(Default, Debug)]
pub struct Condvar {
    /// How many notifications there were, modulo 2^32: only exactly so many between a look and the sleep would be
    /// missed.
    notifications: AtomicU32,
}

impl Condvar {
    /// A place where nobody waits.
    pub const fn new() -> Condvar {
        Condvar {
            notifications: AtomicU32::new(0),
        }
    }

    /// Gives up the mutex, waits until there is a notification, and takes the mutex again. It may also come back
    /// without one, so the caller has to look whether it goes on waiting: [`Condvar::wait_while`] does.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = MutexGuard::mutex(&guard);
        // CONDVAR-1. Relaxed: whoever changes the value after this and notifies does so after we give up the mutex,
        // which orders his addition after this. The kernel orders it with our sleep.
        let seen = self.notifications.load(Ordering::Relaxed);
        drop(guard);
        // Whatever ends this, the caller looks at the value.
        let _ = futex::wait(&self.notifications, seen);
        mutex.lock()
    }

    /// Waits as long as the value is such that `is_to_wait` is true of it; not at all if it is not now.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut is_to_wait: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while is_to_wait(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Wakes one of the threads that wait.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn notify(&self, count: u32) {
        // CONDVAR-1. Relaxed: as in `wait`.
        self.notifications.fetch_add(1, Ordering::Relaxed);
        futex::wake(&self.notifications, count);
    }
}
