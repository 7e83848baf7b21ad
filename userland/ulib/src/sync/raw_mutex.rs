//! The lock itself, without a value.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::futex;

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and perhaps somebody sleeps for it.
const WANTED: u32 = 2;

/// A lock that one thread at a time has. Without contention it takes no system call. Source: Ulrich Drepper, "Futexes
/// Are Tricky", the second mutex.
#[derive(Debug)]
pub struct RawMutex(AtomicU32);

impl RawMutex {
    /// A lock that nobody has.
    pub const fn new() -> RawMutex {
        RawMutex(AtomicU32::new(FREE))
    }

    /// Sleeps until nobody has the lock, and takes it. Not for a thread that has it.
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_slowly();
        }
    }

    /// Takes the lock if nobody has it.
    #[inline]
    pub fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`: who gets the lock sees what its last holder did.
        self.0
            .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn lock_slowly(&self) {
        // Acquire as in `try_lock`. Whoever takes it here leaves it marked, since others may sleep.
        while self.0.swap(WANTED, Ordering::Acquire) != FREE {
            // Any end of this wait is a reason to try again.
            let _ = futex::wait(&self.0, WANTED);
        }
    }

    /// Gives the lock up. Only for who has it.
    #[inline]
    pub fn unlock(&self) {
        // Release pairs with the Acquire of who takes it next.
        if self.0.swap(FREE, Ordering::Release) == WANTED {
            futex::wake(&self.0, 1);
        }
    }
}

impl Default for RawMutex {
    fn default() -> RawMutex {
        RawMutex::new()
    }
}
