//! Taking regions away and changing their rights, whole or in part.
//!
//! Each operation first checks, then does what may fail for want of memory without changing anything that a user can
//! see (SPACE-6), then changes regions and page table, and waits for the other CPUs (SPACE-5).
#![forbid(unsafe_code)]

use crate::addr::UserRange;
use crate::error::{NoMemory, SpaceError};
use crate::flush::FlushBatch;
use crate::page_table::{Leaf, PageTable, Perm};
use crate::space::protection::Protection;
use crate::space::{Memory, RegionMap, Space};

impl Space {
    /// Removes whatever regions, or parts of them, lie in `range`, with all their pages. There may be holes in it.
    ///
    /// # Errors
    /// `Pinned` if something there is; `NoMemory` for splitting a region or a table. Nothing has changed then.
    #[inline]
    pub fn remove(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut memory = self.memory.write();
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.remove(range, &mut batch)?;
        batch.complete_unmap(range);
        Ok(())
    }

    /// Frees pages that `page_alloc` has put into `range`.
    ///
    /// # Errors
    /// `NotMapped` if a page in it is not one of those; `Pinned`, `NoMemory` as for [`Space::remove`]. Nothing has
    /// changed then.
    pub fn page_free(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut memory = self.memory.write();
        if !memory.regions.is_all_page_alloc(range) {
            return Err(SpaceError::NotMapped);
        }
        // SPACE-5, as above.
        memory.remove(range, &mut FlushBatch::new(&self.cpus))
    }

    /// Gives all of `range` the rights `protection`.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `KernelOnly` if only the kernel may use some of it and `protection`
    /// lets users in, `ReadOnly` if it lets them write a file that may not be written, `NoMemory` for splitting a
    /// region or a table. Nothing has changed then.
    pub fn protect(&self, range: UserRange, protection: Protection) -> Result<(), SpaceError> {
        self.change_rights(range, protection, move |regions| {
            regions.protect(range, protection)
        })
    }

    /// Pins all of `range`, or unpins it. What is pinned is neither removed nor moved.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `NoMemory`. Nothing has changed then.
    pub fn set_pinned(&self, range: UserRange, is_pinned: bool) -> Result<(), SpaceError> {
        self.memory.write().regions.set_pinned(range, is_pinned)
    }

    /// [`Space::protect`] and [`Space::set_pinned`] in one step.
    ///
    /// # Errors
    /// Those of both. Nothing has changed then.
    pub fn protect_and_pin(
        &self,
        range: UserRange,
        protection: Protection,
        is_pinned: bool,
    ) -> Result<(), SpaceError> {
        self.change_rights(range, protection, move |regions| {
            regions.protect_and_pin(range, protection, is_pinned)
        })
    }

    /// Gives the pages in `range` the rights `protection`, after `change` has given them to the regions.
    #[inline]
    fn change_rights(
        &self,
        range: UserRange,
        protection: Protection,
        change: impl FnOnce(&mut RegionMap) -> Result<(), SpaceError>,
    ) -> Result<(), SpaceError> {
        let mut memory = self.memory.write();
        let Memory { regions, table, .. } = &mut *memory;
        // A space that has been destroyed has no regions.
        let table = table.as_mut().ok_or(SpaceError::NotMapped)?;
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        let (start, end) = (range.start(), range.end());
        let perm_of = move |leaf: &Leaf<'_>| perm_for(leaf, protection);
        table
            .get_mut()
            .protect_range(start, end, &mut batch, perm_of, move || change(regions))
    }
}

impl Memory {
    /// Takes `range` out of the regions, with all its pages.
    ///
    /// # Errors
    /// As for [`Space::remove`].
    #[inline(never)]
    fn remove(&mut self, range: UserRange, batch: &mut FlushBatch<'_>) -> Result<(), SpaceError> {
        self.unmap(range, batch, move |regions| regions.remove(range))
    }

    /// Unmaps all pages in `range`, after `change` has taken that out of the regions.
    ///
    /// # Errors
    /// `NoMemory` (SPACE-6), and those of `change`. Nothing has changed then.
    #[inline]
    pub(super) fn unmap<E: From<NoMemory>>(
        &mut self,
        range: UserRange,
        batch: &mut FlushBatch<'_>,
        change: impl FnOnce(&mut RegionMap) -> Result<(), E>,
    ) -> Result<(), E> {
        let Memory { regions, table, .. } = self;
        let Some(table) = table else {
            // The space has been destroyed, and has no regions.
            return Ok(());
        };
        let (start, end) = (range.start(), range.end());
        table
            .get_mut()
            .unmap_range(start, end, batch, move || change(regions))
    }

    /// SPACE-6, for changing the pages in `range`.
    pub(super) fn prepare_pages(
        &mut self,
        range: UserRange,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        let Some(table) = self.table() else {
            return Ok(());
        };
        table.prepare_pages(range.start(), range.end(), batch)
    }

    /// The page table, unless the space has been destroyed.
    pub(super) fn table(&mut self) -> Option<&mut PageTable> {
        self.table.as_mut().map(|table| table.get_mut())
    }
}

/// What `leaf`, which is in a region with `protection` now, may allow (SPACE-3).
fn perm_for(leaf: &Leaf<'_>, protection: Protection) -> Perm {
    let old = leaf.flags();
    let kept = old & Perm::SHARED;
    let is_ours_alone =
        old.intersects(Perm::WRITE | Perm::SHARED | Perm::BORROWED) || leaf.owns_memory_alone();
    if is_ours_alone {
        protection.perm() | kept
    } else {
        protection.shared_perm()
    }
}
