//! Breaking the sharing of a page while others use the same table: a fault takes the one entry to itself.
//!
//! Faults of one space run at the same time, each with the table borrowed. Filling a hole is one atomic step. Giving a
//! present page another frame takes several: clear, flush, set (TLB-5). In between the entry is *claimed*: not present
//! for the processor, and not empty for whoever wants to fill it. So of several threads that write one page one makes the copy,
//! and the others fault again until it is there.
//!
//! A claimed entry's frame belongs to the claim. Therefore nobody may borrow frames from entries meanwhile: a
//! [`FaultTable`] gives out iterators of the kind [`Faulting`], which cannot, as long as it is shared, and the table itself
//! only to who has it alone.

use core::mem::ManuallyDrop;
use core::ops::Deref;

use crate::addr::VirtAddr;
use crate::flush::{FlushBatch, SpaceId};
use crate::frame::Frame;
use crate::page_table::PageTable;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Slot;
use crate::page_table::vm_iter::{Faulting, VmIter};
use crate::page_table::vm_iter_mut::record;

/// A page table whose pages faults may claim.
pub(crate) struct FaultTable(PageTable);

impl FaultTable {
    /// `table`, for faults.
    pub(crate) fn new(table: PageTable) -> FaultTable {
        FaultTable(table)
    }

    /// An iterator for a fault at `va`.
    #[inline]
    pub(crate) fn fault_iter(&self, va: VirtAddr) -> VmIter<'_, Faulting> {
        VmIter::at(&self.0, va)
    }

    /// The address space whose table this is.
    #[inline]
    pub(crate) fn space(&self) -> SpaceId {
        self.0.space()
    }

    /// The table, of which nobody else has an iterator.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut PageTable {
        &mut self.0
    }

    /// The table.
    pub(crate) fn into_inner(self) -> PageTable {
        self.0
    }
}

impl<'t> VmIter<'t, Faulting> {
    /// Claims the page of 4 KiB at this position, in a private table, if its entry still is `seen` but for what the
    /// processor marks. `None` if another thread was faster.
    #[inline]
    pub(crate) fn claim(&mut self, seen: Entry) -> Option<Claim<'t>> {
        let is_owned =
            self.level == 1 && !self.is_shared() && !seen.perm().contains(Perm::BORROWED);
        assert!(is_owned, "what is claimed is not this table's own");
        let old = self.slot.claim(seen)?;
        Some(Claim {
            va: self.va(),
            slot: self.slot,
            old,
        })
    }
}

/// A page whose entry somebody has to himself. Dropping it puts the entry back as it was.
pub(crate) struct Claim<'t> {
    va: VirtAddr,
    slot: Slot<'t>,
    old: Entry,
}

impl Claim<'_> {
    /// What is mapped.
    #[inline]
    pub(crate) fn frame(&self) -> impl Deref<Target = Frame> + '_ {
        // SAFETY: the entry owned a reference (PT-2; nobody claims borrowed memory), which is the claim's now.
        unsafe { Frame::borrow_raw(self.old.pa()) }
    }

    /// Puts the entry back with the rights `perm`, which are more than before.
    #[inline]
    pub(crate) fn upgrade(self, perm: Perm) {
        let claim = ManuallyDrop::new(self);
        debug_assert!(claim.old.perm().is_upgraded_by(perm | Perm::PRESENT));
        claim.slot.settle(Entry::new(
            claim.old.pa(),
            perm.for_changing(claim.old.perm()),
        ));
    }

    /// Maps `frame` with `perm` instead, after all CPUs have forgotten the old translation (TLB-5); the old frame is `batch`'s,
    /// which is complete when this returns.
    #[inline]
    pub(crate) fn replace(self, frame: Frame, perm: Perm, batch: &mut FlushBatch<'_>) {
        let claim = ManuallyDrop::new(self);
        record(claim.va, claim.old, batch);
        // SAFETY: the reference was the claim's, which is not dropped.
        batch.release(unsafe { Frame::from_raw(claim.old.pa()) });
        batch.complete();
        claim
            .slot
            .settle(Entry::new(frame.into_raw(), perm.for_leaf()));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.slot.settle(self.old);
    }
}
