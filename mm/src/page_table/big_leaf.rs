//! Big leaves: one entry of level 2 or 3 that maps 2 MiB or 1 GiB.
//!
//! One that owns its memory owns a [`BigFrame`] (PT-2), which several tables may share, each as a big leaf or in parts.
//! So splitting a leaf here ([`VmIterMut::split`]) changes nothing for the others, and merging ([`super::merge`]) is
//! possible only without others.

use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

use geometry::{Geometry, X86};

use crate::addr::PhysAddr;
use crate::error::MapError;
use crate::flush::FlushBatch;
use crate::frame::BigFrame;
use crate::page_table::empty_tables::drop_empty_child;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::{Access, VmIter, VmIterMut};

static HIGHEST_LEAF_LEVEL: AtomicU32 = AtomicU32::new(X86::HIGHEST_LEAF_LEVEL);

/// The highest level whose entries may map memory on this machine: 3 with pages of 1 GiB, or 2.
pub fn highest_leaf_level() -> u32 {
    // Relaxed: set at boot, before there is a second CPU or a user.
    HIGHEST_LEAF_LEVEL.load(Ordering::Relaxed)
}

/// Says which is the highest level whose entries may map memory. At boot only.
pub(crate) fn set_highest_leaf_level(level: u32) {
    // Relaxed: as above.
    HIGHEST_LEAF_LEVEL.store(level, Ordering::Relaxed);
}

/// log2 of the number of frames that a leaf of `level` maps.
#[inline]
pub(crate) fn order_of(level: u32) -> u32 {
    X86::FOUR_LEVELS.shift(level) - X86::FOUR_LEVELS.shift(1)
}

/// The level of a big leaf that maps 2^`order` frames, if there is one.
fn big_level_of(order: u32) -> Option<u32> {
    (2..=X86::HIGHEST_LEAF_LEVEL).find(|level| order_of(*level) == order)
}

/// What a leaf has because of its level.
#[inline]
pub(super) fn huge_at(level: u32) -> Perm {
    if level > 1 { Perm::HUGE } else { Perm::empty() }
}

impl<A: Access> VmIter<'_, A> {
    /// Another reference to the memory of the big page at this position, and its permissions; `None` if no big page is
    /// mapped here or it owns no memory.
    pub fn share_big(&self) -> Option<(BigFrame, Perm)> {
        let entry = self.slot.load();
        let big = self.big_frame_of(entry)?;
        Some((big.share(), self.effective_perm(entry)))
    }

    /// The memory that `entry`, read from this position, owns as a big leaf. The reference stays the entry's.
    pub(super) fn big_frame_of(&self, entry: Entry) -> Option<impl Deref<Target = BigFrame> + '_> {
        let owns =
            self.level > 1 && entry.is_leaf(self.level) && !entry.perm().contains(Perm::BORROWED);
        // SAFETY: the entry owns it (PT-2), and nobody takes it back while the table is borrowed (PT-3).
        owns.then(|| unsafe { BigFrame::borrow_raw(entry.pa(), order_of(self.level)) })
    }

    /// Maps `big` into the hole at this position, as one leaf with `perm`; the mapping owns this reference.
    ///
    /// Any number of CPUs may fill holes of one table.
    ///
    /// # Errors
    /// `NotAligned` if this position is not, or if there are no pages of this size; `AlreadyMapped` if something is
    /// mapped here, or has been in smaller pages; `OutOfRange`; `NoMemory` for a page-table page. Then nothing has
    /// changed and this reference is given back.
    pub fn try_fill_big(&mut self, big: BigFrame, perm: Perm) -> Result<(), MapError> {
        let level = big_level_of(big.order()).ok_or(MapError::NotAligned)?;
        self.fill_leaf(big.pa(), perm.for_leaf(), level)?;
        // The entry owns the reference from now on (PT-2).
        let _ = big.into_raw();
        Ok(())
    }

    /// Puts a leaf of `level` with exactly the flags `perm` into the hole at this position. Whether it owns what it
    /// maps is the caller's business.
    ///
    /// # Errors
    /// As for [`VmIter::try_fill_big`].
    pub(super) fn fill_leaf(
        &mut self,
        pa: PhysAddr,
        perm: Perm,
        level: u32,
    ) -> Result<(), MapError> {
        if !self.table.may_map(self.va) || !(1..=highest_leaf_level()).contains(&level) {
            return Err(MapError::OutOfRange);
        }
        let page_bytes = self.table.geometry().span(level);
        if (self.va | pa.as_u64()) & (page_bytes - 1) != 0 {
            return Err(MapError::NotAligned);
        }
        assert!(
            !self.is_shared(),
            "PT-4: a hole in a shared table is filled"
        );
        self.descend_to(level)?;
        if self.level != level {
            return Err(MapError::AlreadyMapped);
        }
        let new = Entry::new(pa, perm | huge_at(level));
        self.slot.fill(new).map_err(|_| MapError::AlreadyMapped)?;
        Usage::add(self.container.table.usage_word(), self.slot.index());
        Ok(())
    }
}

impl VmIterMut<'_> {
    /// As [`VmIter::try_fill_big`], also where smaller pages have been mapped, if none is any more.
    ///
    /// # Errors
    /// As for `try_fill_big`; page-table pages that map nothing may be gone then.
    pub fn try_map_big(
        &mut self,
        big: BigFrame,
        perm: Perm,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), MapError> {
        if let Some(level) = big_level_of(big.order()) {
            self.vacate(level, batch);
        }
        self.try_fill_big(big, perm)
    }

    /// If nothing is mapped where a leaf of `level` would be, makes that one hole: page-table pages that serve it
    /// become `batch`'s.
    pub fn vacate(&mut self, level: u32, batch: &mut FlushBatch<'_>) {
        if self.level >= level || self.container.denied != 0 {
            return;
        }
        while self.level < level {
            self.enter_parent();
        }
        drop_empty_child(self.container.table, self.slot.index(), level, batch);
        self.find(self.va());
    }
}
