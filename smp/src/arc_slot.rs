//! A place for one `Arc`: put in and taken out by anybody, each time in one step.

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ptr;

use crate::sync::{AtomicUsize, Ordering};

const EMPTY: usize = 0;

/// A place for one `Arc`, which it owns. Who puts one in or takes it out sees all that was done before by those who did
/// likewise.
pub struct ArcSlot<T> {
    /// `EMPTY`, or the address of what was put in, from `Arc::into_raw`.
    address: AtomicUsize,
    owns: PhantomData<Arc<T>>,
}

impl<T> ArcSlot<T> {
    /// An empty place.
    pub const fn new() -> ArcSlot<T> {
        ArcSlot {
            address: AtomicUsize::new(EMPTY),
            owns: PhantomData,
        }
    }

    /// Puts `element` in. Returns what was there before.
    #[inline]
    pub fn put(&self, element: Arc<T>) -> Option<Arc<T>> {
        self.swap(Arc::into_raw(element).expose_provenance())
    }

    /// Takes out what is there.
    #[inline]
    pub fn take(&self) -> Option<Arc<T>> {
        self.swap(EMPTY)
    }

    #[inline]
    fn swap(&self, address: usize) -> Option<Arc<T>> {
        // AcqRel pairs with itself.
        match self.address.swap(address, Ordering::AcqRel) {
            EMPTY => None,
            // SAFETY: `put` made it from an `Arc`, whose share it left here; only this swap takes it.
            before => Some(unsafe { Arc::from_raw(ptr::with_exposed_provenance(before)) }),
        }
    }
}

impl<T> Default for ArcSlot<T> {
    fn default() -> ArcSlot<T> {
        ArcSlot::new()
    }
}

impl<T> Drop for ArcSlot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> fmt::Debug for ArcSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSlot").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::ArcSlot;

    #[test]
    fn what_is_put_in_is_taken_out_once_and_the_rest_is_dropped_with_the_place() {
        let [first, second] = [1, 2].map(Arc::new);
        let slot = ArcSlot::new();
        assert_eq!(slot.put(first.clone()), None);
        assert_eq!(slot.put(second.clone()), Some(first.clone()));
        assert_eq!((slot.take(), slot.take()), (Some(second.clone()), None));
        assert_eq!(slot.put(first.clone()), None);
        assert_eq!([&first, &second].map(Arc::strong_count), [2, 1]);
        drop(slot);
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
