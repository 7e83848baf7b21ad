//! Breaking the sharing of a page while others use the same table: a fault takes the one entry to itself.
//!
//! Faults of one space run at the same time, each with the table borrowed. Filling a hole is one atomic step. Giving a
//! present page another frame takes several: clear, flush, set (TLB-5). In between the entry is *claimed*: not present
//! for the processor, and not empty for whoever wants to fill it. So of several threads that write one page one makes
//! the copy, and the others fault again until it is there.
//!
//! A claimed entry's frame belongs to the claim. Therefore nobody may borrow frames from entries meanwhile: a
//! [`FaultTable`] gives out iterators of the kind [`Faulting`], which cannot, as long as it is shared, and the table
//! itself only to who has it alone.

use core::mem::ManuallyDrop;

use crate::addr::{PhysAddr, VirtAddr};
use crate::error::NoMemory;
use crate::flush::{ActiveCpus, FlushBatch, Machine, Released};
use crate::frame::{Frame, FrameKind};
use crate::page_table::PageTable;
use crate::page_table::leaf::record;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Slot;
use crate::page_table::vm_iter::{Faulting, VmIter};

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
        // SAFETY: 1. the entry owns its frame (PT-2), which is not borrowed memory; 2. no iterator of this kind borrows
        // frames, and the table is shared, so that there are no others.
        unsafe { Claim::new(self.va(), self.slot, seen) }
    }
}

/// A reference to a frame, as an entry owns it: the kernel's, or a model's. The functions are those of [`Frame`].
pub trait ClaimedFrame: Sized {
    /// See [`Frame::into_raw`].
    fn into_raw(self) -> PhysAddr;
    /// See [`Frame::from_raw`].
    ///
    /// # Safety
    /// As there.
    unsafe fn from_raw(pa: PhysAddr) -> Self;
    /// See [`Frame::is_sole_owner`].
    fn is_sole_owner(&self) -> bool;
    /// A new frame of a user's with this one's contents.
    ///
    /// # Errors
    /// [`NoMemory`].
    fn copy(&self) -> Result<Self, NoMemory>;
}

impl ClaimedFrame for Frame {
    #[inline]
    fn into_raw(self) -> PhysAddr {
        Frame::into_raw(self)
    }

    #[inline]
    unsafe fn from_raw(pa: PhysAddr) -> Frame {
        // SAFETY: the caller's condition.
        unsafe { Frame::from_raw(pa) }
    }

    #[inline]
    fn is_sole_owner(&self) -> bool {
        Frame::is_sole_owner(self)
    }

    #[inline]
    fn copy(&self) -> Result<Frame, NoMemory> {
        Frame::copy(self, FrameKind::Anonymous)
    }
}

/// A page whose entry somebody has to himself. Dropping it puts the entry back as it was.
pub struct Claim<'t, F: ClaimedFrame = Frame> {
    va: VirtAddr,
    slot: Slot<'t>,
    old: Entry,
    /// What the entry owned. It is dropped by way of a batch only.
    frame: ManuallyDrop<F>,
}

impl<'t, F: ClaimedFrame> Claim<'t, F> {
    /// Claims the page of 4 KiB at `va`, whose entry is `slot`, if that still is `seen` but for what the processor
    /// marks. `None` if another thread was faster.
    ///
    /// # Safety
    /// 1. While the entry is `seen`, it owns a reference to an `F`.
    /// 2. Nobody borrows that from the entry.
    #[inline]
    pub unsafe fn new(va: VirtAddr, slot: Slot<'t>, seen: Entry) -> Option<Claim<'t, F>> {
        let old = slot.claim(seen)?;
        // SAFETY: the entry owned a reference (1), which is the claim's now: nobody else takes it out of a claimed
        // entry.
        let frame = ManuallyDrop::new(unsafe { F::from_raw(old.pa()) });
        Some(Claim {
            va,
            slot,
            old,
            frame,
        })
    }

    /// Gives the page to the space of `cpus` alone, with the rights `perm`, which are more than before: with its frame
    /// if nobody else has that any more, or else with a copy.
    ///
    /// # Errors
    /// [`NoMemory`]. The page is as it was then.
    #[inline]
    pub fn make_own<M>(self, perm: Perm, machine: M, cpus: &ActiveCpus) -> Result<(), NoMemory>
    where
        M: Machine<Released: Released<Frame = F>>,
    {
        if self.frame.is_sole_owner() {
            // An upgrade of rights sends nothing.
            self.upgrade(perm);
            return Ok(());
        }
        // The page is read-only on all CPUs, so that the copy misses no store.
        let copy = self.frame.copy()?;
        self.replace(copy, perm, &mut FlushBatch::on(machine, cpus));
        Ok(())
    }

    /// Puts the entry back with the rights `perm`, which are more than before.
    #[inline]
    fn upgrade(self, perm: Perm) {
        let claim = ManuallyDrop::new(self);
        debug_assert!(claim.old.perm().is_upgraded_by(perm | Perm::PRESENT));
        claim.slot.settle(Entry::new(
            claim.old.pa(),
            perm.for_changing(claim.old.perm()),
        ));
    }

    /// Maps `frame` with `perm` instead, after all CPUs have forgotten the old translation (TLB-5); the old frame is
    /// `batch`'s, which is complete when this returns.
    #[inline]
    fn replace<M>(self, frame: F, perm: Perm, batch: &mut FlushBatch<'_, M>)
    where
        M: Machine<Released: Released<Frame = F>>,
    {
        let mut claim = ManuallyDrop::new(self);
        record(claim.va, claim.old, batch);
        // SAFETY: the claim is neither used for its frame nor dropped after this.
        batch.release(unsafe { ManuallyDrop::take(&mut claim.frame) });
        batch.complete();
        claim
            .slot
            .settle(Entry::new(frame.into_raw(), perm.for_leaf()));
    }
}

impl<F: ClaimedFrame> Drop for Claim<'_, F> {
    fn drop(&mut self) {
        self.slot.settle(self.old);
    }
}
