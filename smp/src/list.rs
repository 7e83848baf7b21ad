//! An intrusive doubly-linked list of `Arc`s: pushing cannot fail, and an element is removed from the middle in O(1).
//!
//! The links live in the elements. A list owns one reference to each of its elements. The list is a plain value under
//! its user's lock; what makes it safe is one atomic word in each link that says which list the element is in:
//!
//! - **LIST-1**: a link's owner word goes from "none" to a list's number when that list pushes it, and back when the
//!   same list lets go of it. Numbers are never used again.
//! - **LIST-2**: the other words of a link are touched only by the list that its owner word names, through `&mut` (or,
//!   to read, `&`) of that list.
//! - **LIST-3**: while its owner word names a list, that list owns a reference to the element, so the link stays where
//!   it is.
//!
//! [`Linked`] is a safe trait: whatever `link` returns, LIST-1 to LIST-3 hold for the link that it returned, because
//! the link remembers the `Arc` that was pushed with it. An implementation that returns now one link and now another
//! gets panics or finds nothing, but breaks nothing.

use alloc::sync::Arc;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

const NO_LIST: u64 = 0;

/// The place in an element by which it hangs in a list.
pub struct Link<T> {
    /// The number of the list that the element is in, or `NO_LIST` (LIST-1).
    owner: AtomicU64,
    next: Cell<*const Link<T>>,
    previous: Cell<*const Link<T>>,
    /// The `Arc` that was pushed, made raw.
    element: Cell<*const T>,
}

// SAFETY: the cells are touched only under the rule LIST-2, so by one thread at a time; a link by itself gives no
// access to any `T`.
unsafe impl<T> Sync for Link<T> {}
// SAFETY: as above; a link that is in a list is not moved (LIST-3).
unsafe impl<T> Send for Link<T> {}

impl<T> Link<T> {
    /// A link that is in no list.
    pub const fn new() -> Link<T> {
        Link {
            owner: AtomicU64::new(NO_LIST),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            element: Cell::new(ptr::null()),
        }
    }
}

impl<T> Default for Link<T> {
    fn default() -> Link<T> {
        Link::new()
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Something that can be in an [`ArcList`]. `N` tells its links apart, if it can be in several lists at once.
pub trait Linked<const N: usize = 0>: Sized {
    /// The link number `N`.
    fn link(&self) -> &Link<Self>;
}

/// A list of `Arc`s, by their links number `N`.
pub struct ArcList<T: Linked<N>, const N: usize = 0> {
    /// This list's number, given to it at the first push; moves with the value.
    number: u64,
    first: *const Link<T>,
    last: *const Link<T>,
    len: usize,
    owns: PhantomData<Arc<T>>,
}

// SAFETY: a list owns `Arc<T>`s and touches their links by LIST-2 only.
unsafe impl<T: Linked<N> + Send + Sync, const N: usize> Send for ArcList<T, N> {}
// SAFETY: through `&ArcList` links are only read, and `&T` handed out.
unsafe impl<T: Linked<N> + Send + Sync, const N: usize> Sync for ArcList<T, N> {}

impl<T: Linked<N>, const N: usize> ArcList<T, N> {
    /// A list with nothing in it.
    pub const fn new() -> ArcList<T, N> {
        ArcList {
            number: NO_LIST,
            first: ptr::null(),
            last: ptr::null(),
            len: 0,
            owns: PhantomData,
        }
    }

    /// Whether nothing is in the list.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many elements are in the list.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Puts `element` at the end. Panics if its link is in a list already.
    pub fn push_back(&mut self, element: Arc<T>) {
        let last = self.last;
        self.insert_between(element, last, ptr::null());
    }

    /// Puts `element` at the beginning. Panics if its link is in a list already.
    pub fn push_front(&mut self, element: Arc<T>) {
        let first = self.first;
        self.insert_between(element, ptr::null(), first);
    }

    /// Puts `element` before the first one for which `is_behind` holds, or at the end. Panics if its link is in a list
    /// already.
    pub fn insert_sorted(&mut self, element: Arc<T>, mut is_behind: impl FnMut(&T) -> bool) {
        let after = self
            .iter()
            .find(|other| is_behind(other))
            .map_or(ptr::null(), |other| ptr::from_ref(other.link()));
        // SAFETY: null or a link of this list, which lives (LIST-3).
        let before = unsafe { after.as_ref() }.map_or(self.last, |after| after.previous.get());
        self.insert_between(element, before, after);
    }

    /// Takes the first element out.
    pub fn pop_front(&mut self) -> Option<Arc<T>> {
        // SAFETY: `first` is null or a link of this list, which lives (LIST-3).
        let first = unsafe { self.first.as_ref() }?;
        Some(self.unlink(first))
    }

    /// Takes out the first element for which `wanted` holds.
    pub fn pop_first_where(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Option<Arc<T>> {
        let found = self
            .iter()
            .find(|element| wanted(element))
            .map(ptr::from_ref)?;
        // SAFETY: an element of this list, which owns a reference to it.
        self.remove(unsafe { &*found })
    }

    /// Takes out the first `count` elements for which `wanted` holds, in one pass, and gives each to `take`.
    pub fn take_where(
        &mut self,
        count: usize,
        mut wanted: impl FnMut(&T) -> bool,
        mut take: impl FnMut(Arc<T>),
    ) -> usize {
        let (mut next, mut taken) = (self.first, 0);
        // SAFETY: null or a link of this list, which lives (LIST-3): the one behind it was read before it was taken
        // out.
        while let Some(link) = unsafe { next.as_ref() }
            && taken < count
        {
            next = link.next.get();
            // SAFETY: the list owns a reference to its elements.
            if wanted(unsafe { &*link.element.get() }) {
                take(self.unlink(link));
                taken += 1;
            }
        }
        taken
    }

    /// Another reference to the first element.
    pub fn front_arc(&self) -> Option<Arc<T>> {
        self.iter_arcs().next()
    }

    /// Other references to the elements, in order.
    pub fn iter_arcs(&self) -> impl Iterator<Item = Arc<T>> {
        let mut elements = self.iter();
        core::iter::from_fn(move || {
            let element = elements.next_element()?;
            // SAFETY: it was made from an `Arc` whose reference the list owns; the new one is counted before it is
            // used.
            unsafe {
                Arc::increment_strong_count(element);
                Some(Arc::from_raw(element))
            }
        })
    }

    /// Another reference to the first element for which `wanted` holds.
    #[inline]
    pub fn find_arc(&self, mut wanted: impl FnMut(&T) -> bool) -> Option<Arc<T>> {
        let mut elements = self.iter();
        loop {
            let element = elements.next_element()?;
            // SAFETY: the list owns a reference to it for as long as it is borrowed; it was made from an `Arc`, and the
            // new reference is counted before it is used.
            unsafe {
                if wanted(&*element) {
                    Arc::increment_strong_count(element);
                    return Some(Arc::from_raw(element));
                }
            }
        }
    }

    /// Takes `element` out, if it is in this list.
    pub fn remove(&mut self, element: &T) -> Option<Arc<T>> {
        self.contains(element).then(|| self.unlink(element.link()))
    }

    /// Whether `element` is in this list.
    pub fn contains(&self, element: &T) -> bool {
        // Relaxed: only this list, which we have a reference to, writes its number there or takes it away.
        self.number != NO_LIST && element.link().owner.load(Ordering::Relaxed) == self.number
    }

    /// The elements in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            next: self.first,
            list: PhantomData,
        }
    }

    /// LIST-1, first half. `before` and `after` are neighbours in this list, or null at its ends.
    fn insert_between(&mut self, element: Arc<T>, before: *const Link<T>, after: *const Link<T>) {
        if self.number == NO_LIST {
            self.number = next_number();
        }
        let link = element.link();
        // Acquire pairs with the Release in `unlink`, of the list that had the link before.
        let claim =
            link.owner
                .compare_exchange(NO_LIST, self.number, Ordering::Acquire, Ordering::Relaxed);
        assert!(
            claim.is_ok(),
            "an element was pushed that is in a list already"
        );
        link.previous.set(before);
        link.next.set(after);
        let link = ptr::from_ref(link);
        // SAFETY: both are null or links of this list (LIST-2, LIST-3).
        match unsafe { before.as_ref() } {
            Some(before) => before.next.set(link),
            None => self.first = link,
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            Some(after) => after.previous.set(link),
            None => self.last = link,
        }
        let element = Arc::into_raw(element);
        // SAFETY: the link was borrowed from the element, which our reference keeps alive and nobody can change or
        // move.
        unsafe { (*link).element.set(element) };
        self.len += 1;
    }

    /// LIST-1, second half. `link` is in this list.
    fn unlink(&mut self, link: &Link<T>) -> Arc<T> {
        let (before, after) = (link.previous.get(), link.next.get());
        // SAFETY: neighbours of a link of this list are null or links of this list (LIST-2, LIST-3).
        match unsafe { before.as_ref() } {
            Some(before) => before.next.set(after),
            None => self.first = after,
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            Some(after) => after.previous.set(before),
            None => self.last = before,
        }
        self.len -= 1;
        let element = link.element.get();
        // Release pairs with the Acquire in `insert_between`: the next list writes the link after we have read it.
        link.owner.store(NO_LIST, Ordering::Release);
        // SAFETY: `insert_between` made it from an `Arc`, and the link's owner word, which was ours until now, lets it
        // be taken back only once.
        unsafe { Arc::from_raw(element) }
    }
}

/// Numbers for lists. 64 bits do not run out.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NO_LIST + 1);
    // Relaxed: only uniqueness counts.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<T: Linked<N>, const N: usize> Default for ArcList<T, N> {
    fn default() -> ArcList<T, N> {
        ArcList::new()
    }
}

impl<T: Linked<N>, const N: usize> Drop for ArcList<T, N> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

impl<T: Linked<N> + fmt::Debug, const N: usize> fmt::Debug for ArcList<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The elements of an [`ArcList`], in order.
pub struct Iter<'a, T> {
    next: *const Link<T>,
    list: PhantomData<&'a T>,
}

impl<T> Iter<'_, T> {
    /// The next element, as it was pushed.
    fn next_element(&mut self) -> Option<*const T> {
        // SAFETY: null or a link of the list, which is borrowed for `'a`, so the link lives that long (LIST-3).
        let link = unsafe { self.next.as_ref() }?;
        self.next = link.next.get();
        Some(link.element.get())
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let element = self.next_element()?;
        // SAFETY: the list owns a reference to it for as long as it is borrowed.
        Some(unsafe { &*element })
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
