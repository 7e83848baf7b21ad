//! Leaves of a page table that its user has to himself.

use core::mem::ManuallyDrop;
use core::ops::Deref;

use crate::addr::VirtAddr;
use crate::flush::{FlushBatch, Machine};
use crate::frame::{BigFrame, Frame};
use crate::page_table::big_leaf::order_of;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Slot;

/// An entry that maps memory, in a page table of which its user has the only iterator.
pub(crate) struct Leaf<'t> {
    pub(super) va: VirtAddr,
    pub(super) slot: Slot<'t>,
    pub(super) level: u32,
    /// What `slot` holds, but for what the processor marks meanwhile.
    pub(super) entry: Entry,
    /// What the entries above take away from it.
    pub(super) denied: u64,
}

impl Leaf<'_> {
    /// Its flags, whatever the levels above forbid.
    #[inline]
    pub(crate) fn flags(&self) -> Perm {
        self.entry.perm()
    }

    /// Its permissions, less what the levels above forbid.
    #[inline]
    pub(super) fn perm(&self) -> Perm {
        self.flags().less(self.denied)
    }

    #[inline]
    fn owns_memory(&self) -> bool {
        !self.flags().contains(Perm::BORROWED)
    }

    /// The frame, whose reference stays the mapping's; `None` if it is a big leaf, or owns none.
    #[inline]
    pub(super) fn frame(&self) -> Option<impl Deref<Target = Frame> + '_> {
        let owns_frame = self.level == 1 && self.owns_memory();
        // SAFETY: the entry owns a reference (PT-2), and nobody takes it back while this is borrowed: the page table is
        // this user's alone, and `unmap` takes the leaf.
        owns_frame.then(|| unsafe { Frame::borrow_raw(self.entry.pa()) })
    }

    /// Whether the mapping has the only reference to its frame, or to all of its big page; false too if it owns
    /// nothing.
    #[inline]
    pub(crate) fn owns_memory_alone(&self) -> bool {
        if self.level > 1 {
            return self.owns_memory() && self.big_frame().is_sole_owner();
        }
        self.frame().is_some_and(|frame| frame.is_sole_owner())
    }

    /// The memory of a big leaf that owns it.
    fn big_frame(&self) -> ManuallyDrop<BigFrame> {
        // SAFETY: the entry owns it (PT-2), and nobody takes it back meanwhile, as in `frame`.
        unsafe { BigFrame::borrow_raw(self.entry.pa(), order_of(self.level)) }
    }

    /// Gives it the rights `perm`.
    ///
    /// Taking rights away takes effect on all CPUs when `batch` is complete; giving more, at once or when a CPU next
    /// asks.
    #[inline]
    pub(super) fn protect(&self, perm: Perm, batch: &mut FlushBatch<'_>) {
        let change = |old: Entry| Entry::new(old.pa(), perm.for_changing(old.perm()));
        let old = self.slot.update(change);
        if !old.perm().is_upgraded_by(perm | Perm::PRESENT) {
            record(self.va, old, batch);
        }
    }

    /// Empties the entry; that the table has one less is the caller's to count. What was mapped is `batch`'s.
    #[inline(always)]
    pub(super) fn unmap(self, batch: &mut FlushBatch<'_>) {
        let old = self.slot.take();
        record(self.va, old, batch);
        release(old, self.level, batch);
    }
}

/// Notes in `batch` that CPUs have to forget `old`, which was the entry of `va`.
///
/// A processor marks an entry as accessed before it keeps the translation, so that there is nothing to forget of one
/// without the mark.
#[inline]
pub(super) fn record(va: VirtAddr, old: Entry, batch: &mut FlushBatch<'_, impl Machine>) {
    if old.perm().contains(Perm::ACCESSED) {
        batch.record(va);
    }
}

/// Gives what the leaf `old`, of `level`, owned to `batch`. It has been taken out of its table.
#[inline(always)]
fn release(old: Entry, level: u32, batch: &mut FlushBatch<'_>) {
    if old.perm().contains(Perm::BORROWED) {
        return;
    }
    if level == 1 {
        // SAFETY: the entry owned a reference (PT-2), and it was taken out once.
        batch.release(unsafe { Frame::from_raw(old.pa()) });
    } else {
        // SAFETY: likewise.
        batch.release_big(unsafe { BigFrame::from_raw(old.pa(), order_of(level)) });
    }
}
