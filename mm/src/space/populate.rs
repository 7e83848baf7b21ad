//! Filling in an eager region at once, with the largest pages that fit.
//!
//! Guarantee: either all of it is there, or, with an error, nothing is left of it. What others do meanwhile with that
//! part of the space is neither undone nor filled in for them.
//!
//! Each page is a step of its own, between which others use the space. Should memory run out on the way, taking out
//! what is there already must not need any:
//!
//! - **FILL-1** nobody forks the space meanwhile, so that no table is shared.
//! - **FILL-2** tables that are there before are made private first.
//! - **FILL-3** the region knows that it is being filled in, and by whom (`region_map/fill.rs`). It is no part of
//!   another then, nor is what others put in its place a part of it.
#![forbid(unsafe_code)]

use crate::addr::{UserRange, VirtAddr};
use crate::error::{MapError, NoMemory, SpaceError};
use crate::flush::{ActiveCpus, FlushBatch};
use crate::frame::{self, FrameKind};
use crate::page_table::{Access, Geometry, VmIter, VmIterMut, X86, highest_leaf_level, order_of};
use crate::rw_lock::pause_point;
use crate::space::backing::{Backing, PageContent};
use crate::space::region::{Filling, Region};
use crate::space::{FaultAccess, FaultError, Memory, Space};

impl Space {
    /// [`Space::add`] of an eager region.
    pub(super) fn add_eager(
        &self,
        place: impl FnOnce(&mut Memory) -> Result<Region, SpaceError>,
    ) -> Result<UserRange, SpaceError> {
        // FILL-1.
        let _not_shared = self.filling.read();
        let mut memory = self.memory.write();
        let mut region = place(&mut memory)?;
        let range = region.range;
        // FILL-2.
        memory.prepare_pages(range, &mut FlushBatch::new(&self.cpus))?;
        let filling = memory.regions.begin_filling(&mut region);
        memory.insert(region, &self.cpus)?;
        drop(memory);
        let filled = self.populate(range);
        let mut memory = self.memory.write();
        match filled {
            Ok(()) => memory.regions.end_filling(range, filling),
            Err(_) => memory.undo_filling(range, filling, &self.cpus)?,
        }
        filled.map(|()| range)
    }

    /// Fills in all pages of `range`.
    fn populate(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut page = range.start();
        while page < range.end() {
            let level = self.populate_at(page, range.end())?;
            let len_bytes = X86::FOUR_LEVELS.span(level);
            page = page.checked_add(len_bytes).ok_or(SpaceError::Wraps)?;
            pause_point()?;
        }
        Ok(())
    }

    /// Fills in what is at `page`, in a page as large as there is; returns its level.
    fn populate_at(&self, page: VirtAddr, end: VirtAddr) -> Result<u32, SpaceError> {
        for level in (2..=highest_leaf_level()).rev() {
            let span = X86::FOUR_LEVELS.span(level);
            let fits = end.as_u64() - page.as_u64() >= span;
            if fits && page.as_u64().is_multiple_of(span) && self.populate_big(page, level)? {
                return Ok(level);
            }
        }
        match self.fault(page, FaultAccess::READ) {
            // Others have taken this page out again meanwhile, or changed its rights: that is their business.
            Ok(()) | Err(FaultError::MissingPage | FaultError::Permission) => Ok(1),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a page of the size of `level` at `page`; false if there can be none.
    fn populate_big(&self, page: VirtAddr, level: u32) -> Result<bool, SpaceError> {
        // Made before the space is locked: it takes its time. What is not needed goes back.
        let is_anonymous = {
            let memory = self.memory.read();
            let region = memory.regions.find(page);
            region.is_some_and(|region| region.backing.is_anonymous())
        };
        let zeros = is_anonymous
            .then(|| frame::alloc_big_zeroed(order_of(level), FrameKind::Anonymous).ok())
            .flatten();
        let mut memory = self.memory.write();
        let memory = &mut *memory;
        let (Some(region), Some(table)) = (memory.regions.find(page), &mut memory.table) else {
            return Ok(false);
        };
        // Others may have cut the region meanwhile (SPACE-1).
        let end = page.checked_add(X86::FOUR_LEVELS.span(level));
        if end.is_none_or(|end| region.range.end() < end) {
            return Ok(false);
        }
        let mut batch = FlushBatch::new(&self.cpus);
        let mut iter = VmIterMut::new_mut(table.get_mut(), page);
        iter.make_private(&mut batch)?;
        let mapped = match (&region.backing, zeros) {
            (Backing::Anonymous, Some(zeros)) => {
                iter.try_map_big(zeros, region.protection.perm(), &mut batch)
            }
            (Backing::Physical(_), _) => region.map_physical(&mut iter, level),
            _ => return Ok(false),
        };
        match mapped {
            Ok(()) => Ok(true),
            Err(MapError::NoMemory) => Err(SpaceError::NoMemory),
            // The region's memory does not begin or end where such a page does, or something is there already.
            Err(MapError::AlreadyMapped | MapError::NotAligned | MapError::OutOfRange) => Ok(false),
        }
    }
}

impl Memory {
    /// Takes out what is left of a region that could not be filled in, with its pages.
    ///
    /// # Errors
    /// None, by FILL-1 to FILL-3: nothing that is shared or reaches over its ends is left in it.
    fn undo_filling(
        &mut self,
        range: UserRange,
        filling: Filling,
        cpus: &ActiveCpus,
    ) -> Result<(), NoMemory> {
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(cpus);
        while let Some(piece) = self.regions.undo_filling(range, filling) {
            self.unmap(piece, &mut batch, |_| Ok::<(), NoMemory>(()))?;
        }
        Ok(())
    }
}

impl Region {
    /// Maps the memory of this region, if it is physical, at `iter`, in a page of the size of `level`.
    ///
    /// # Errors
    /// As for `try_map_physical`.
    fn map_physical<A: Access>(
        &self,
        iter: &mut VmIter<'_, A>,
        level: u32,
    ) -> Result<(), MapError> {
        let PageContent::Physical { memory, offset } = self.content_at(iter.va()) else {
            return Err(MapError::OutOfRange);
        };
        iter.try_map_physical(memory, offset, level, self.protection.perm())
    }

    /// As `map_physical`, in the largest page that there can be for the page of 4 KiB at `iter`, a hole.
    pub(super) fn map_physical_around<A: Access>(
        &self,
        iter: &mut VmIter<'_, A>,
    ) -> Result<(), MapError> {
        let page = iter.va().as_u64();
        for level in (2..=highest_leaf_level().min(iter.level())).rev() {
            let start = page & !(X86::FOUR_LEVELS.span(level) - 1);
            let is_inside = start >= self.range.start().as_u64();
            if is_inside
                && self
                    .map_physical(iter.find(VirtAddr::new(start)), level)
                    .is_ok()
            {
                return Ok(());
            }
        }
        self.map_physical(iter.find(VirtAddr::new(page)), 1)
    }
}
