//! A short list with its elements inside: making an empty one costs nothing, and adding needs no memory.

use core::fmt;
use core::mem::{self, MaybeUninit};

/// Up to `CAPACITY` elements.
///
/// Invariant: the first `len` elements are initialised, and `len <= CAPACITY`.
pub(super) struct InlineList<T, const CAPACITY: usize> {
    elements: [MaybeUninit<T>; CAPACITY],
    len: usize,
}

impl<T, const CAPACITY: usize> InlineList<T, CAPACITY> {
    #[inline]
    pub(super) const fn new() -> Self {
        InlineList {
            elements: [const { MaybeUninit::uninit() }; CAPACITY],
            len: 0,
        }
    }

    /// Adds `element` at the end, or gives it back if the list is full.
    #[inline]
    pub(super) fn push(&mut self, element: T) -> Result<(), T> {
        match self.elements.get_mut(self.len) {
            Some(place) => {
                place.write(element);
                self.len += 1;
                Ok(())
            }
            None => Err(element),
        }
    }

    /// The elements.
    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: the first `len` elements are initialised.
        unsafe { core::slice::from_raw_parts(self.elements.as_ptr().cast(), self.len) }
    }

    /// Removes all elements, which need no dropping.
    #[inline]
    pub(super) fn clear(&mut self)
    where
        T: Copy,
    {
        self.len = 0;
    }

    /// Removes and returns the last element.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: it was one of the first `len` elements, and no longer is.
        Some(unsafe { self.elements[self.len].assume_init_read() })
    }
}

impl<T, const CAPACITY: usize> Default for InlineList<T, CAPACITY> {
    #[inline]
    fn default() -> Self {
        InlineList::new()
    }
}

impl<T: fmt::Debug, const CAPACITY: usize> fmt::Debug for InlineList<T, CAPACITY> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl<T, const CAPACITY: usize> Drop for InlineList<T, CAPACITY> {
    #[inline]
    fn drop(&mut self) {
        if !mem::needs_drop::<T>() {
            return;
        }
        while let Some(element) = self.pop() {
            drop(element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InlineList;
    use std::rc::Rc;

    #[test]
    fn a_full_list_gives_the_element_back() {
        let mut list = InlineList::<u32, 2>::new();
        assert_eq!(
            [list.push(1), list.push(2), list.push(3)],
            [Ok(()), Ok(()), Err(3)]
        );
        assert_eq!(
            [list.pop(), list.pop(), list.pop()],
            [Some(2), Some(1), None]
        );
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let counted = Rc::new(());
        let mut list = InlineList::<Rc<()>, 4>::new();
        for _ in 0..3 {
            let _ = list.push(counted.clone());
        }
        drop(list.pop());
        assert_eq!(Rc::strong_count(&counted), 3);
        drop(list);
        assert_eq!(Rc::strong_count(&counted), 1);
    }
}
