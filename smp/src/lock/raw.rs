//! The lock's word.

use crate::sync::{AtomicU32, Ordering};

const FREE: u32 = 0;

/// A lock without a value: one word, free or held.
#[derive(Debug)]
pub struct RawLock {
    /// `FREE`, or the holder's mark.
    word: AtomicU32,
}

impl RawLock {
    /// A free lock.
    pub const fn new() -> RawLock {
        RawLock {
            word: AtomicU32::new(FREE),
        }
    }

    /// Takes the lock if it is free. `mark`, not 0, is what others find in it.
    #[inline(always)]
    pub fn try_acquire(&self, mark: u32) -> bool {
        debug_assert!(mark != FREE);
        // Acquire pairs with the Release in `release`: what the last holder wrote is seen.
        self.word
            .compare_exchange(FREE, mark, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the lock when it becomes free. Calls `turn` with the holder's mark each time that it is not.
    pub fn acquire_waiting(&self, mark: u32, mut turn: impl FnMut(u32)) {
        loop {
            // A plain read, so that waiting CPUs do not take the line from each other. Relaxed: `try_acquire` acquires.
            let holder_mark = self.word.load(Ordering::Relaxed);
            if holder_mark != FREE {
                turn(holder_mark);
            } else if self.try_acquire(mark) {
                return;
            }
        }
    }

    /// Frees the lock; only its holder calls this.
    #[inline(always)]
    pub fn release(&self) {
        // Release pairs with the Acquire in `try_acquire`.
        self.word.store(FREE, Ordering::Release);
    }
}

impl Default for RawLock {
    fn default() -> RawLock {
        RawLock::new()
    }
}
