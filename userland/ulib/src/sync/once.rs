//! What is to be done once.
//!
//! The guarantee: of all closures that are passed to [`Once::call_once`] exactly one runs, once, and every call comes
//! back after it has run, and sees what it has done.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::futex;

const FRESH: u32 = 0;
const RUNNING: u32 = 1;
/// Running, and perhaps somebody sleeps until it is done.
const AWAITED: u32 = 2;
const DONE: u32 = 3;

/// Something that happens once. When it has happened, asking takes no system call.
#[derive(Debug)]
pub struct Once(AtomicU32);

impl Once {
    /// It has not happened.
    pub const fn new() -> Once {
        Once(AtomicU32::new(FRESH))
    }

    /// Whether it has happened. Then what the closure has done is seen.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire pairs with the Release in `call_slowly`.
        self.0.load(Ordering::Acquire) == DONE
    }

    /// Calls `body` if nobody has called one before, and waits until whatever has been called has returned. It waits
    /// for ever if that never returns: if it waits for this `Once` itself, for one, or ends its thread.
    #[inline]
    pub fn call_once(&self, body: impl FnOnce()) {
        if !self.is_completed() {
            self.call_slowly(body);
        }
    }

    #[cold]
    fn call_slowly(&self, body: impl FnOnce()) {
        // Relaxed if it begins here: nothing has been done that could be seen. Acquire as in `is_completed` if it is
        // done.
        let begun = self
            .0
            .compare_exchange(FRESH, RUNNING, Ordering::Relaxed, Ordering::Acquire);
        if begun.is_err() {
            return self.wait();
        }
        body();
        // Release pairs with the Acquire of who finds it done.
        if self.0.swap(DONE, Ordering::Release) == AWAITED {
            futex::wake(&self.0, u32::MAX);
        }
    }

    /// Waits until it is done; somebody has begun.
    fn wait(&self) {
        while !self.is_completed() {
            // Relaxed: the mark only asks for the wake-up. If it comes too late, the word is not what we would sleep
            // for.
            let _ = self
                .0
                .compare_exchange(RUNNING, AWAITED, Ordering::Relaxed, Ordering::Relaxed);
            // Any end of this wait is a reason to look again.
            let _ = futex::wait(&self.0, AWAITED);
        }
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}
