//! How many threads are in a space.

use core::sync::atomic::{AtomicU32, Ordering};

/// The number of threads in a space.
#[derive(Debug)]
pub(crate) struct ThreadCount(AtomicU32);

impl ThreadCount {
    /// None.
    pub(crate) const fn new() -> ThreadCount {
        ThreadCount(AtomicU32::new(0))
    }

    /// How many there are; stale at once.
    pub(super) fn get_racy(&self) -> usize {
        // Relaxed: for display.
        self.0.load(Ordering::Relaxed) as usize
    }

    /// Whether nobody but the caller is in the space. Then it stays so until the caller lets somebody in.
    #[inline]
    pub(crate) fn is_one_at_most(&self) -> bool {
        // Acquire pairs with the Release in `remove`: what those who have left did comes before.
        self.0.load(Ordering::Acquire) <= 1
    }

    /// One more. It joins the space of a thread that is in it, or a new one that nobody else has yet.
    #[inline]
    pub(super) fn add(&self) {
        // Relaxed: the joining thread has the space from one that has not left it yet.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less. True for the last one.
    #[inline]
    pub(super) fn remove(&self) -> bool {
        // AcqRel: the last one sees all that the others did in the space before they left.
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "a thread leaves a space that it is not in");
        before == 1
    }
}
