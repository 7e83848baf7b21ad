//! Filling in a region at once, with the largest pages that fit.
#![forbid(unsafe_code)]

use crate::addr::{UserRange, VirtAddr};
use crate::error::{MapError, SpaceError};
use crate::flush::FlushBatch;
use crate::frame::{self, FrameKind};
use crate::page_table::{Access, Geometry, VmIter, VmIterMut, X86, highest_leaf_level, order_of};
use crate::rw_lock::pause_point;
use crate::space::backing::{Backing, PageContent};
use crate::space::region::{Region, RegionFlags};
use crate::space::{FaultAccess, FaultError, Space};

impl Space {
    /// Fills in all pages of the region that has just been added as `range`, if it is eager; or else takes it out
    /// again.
    #[inline]
    pub(super) fn populate_new(
        &self,
        range: UserRange,
        flags: RegionFlags,
    ) -> Result<(), SpaceError> {
        if flags.contains(RegionFlags::EAGER) {
            self.populate_or_undo(range, flags)
        } else {
            Ok(())
        }
    }

    fn populate_or_undo(&self, range: UserRange, flags: RegionFlags) -> Result<(), SpaceError> {
        let Err(error) = self.populate(range) else {
            return Ok(());
        };
        let mut memory = self.memory.write();
        // If others have changed something there meanwhile, it is theirs, and stays as it is.
        let is_untouched = memory
            .regions
            .find(range.start())
            .is_some_and(|region| region.range.covers(range) && region.flags == flags);
        if !is_untouched {
            return Ok(());
        }
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.unmap(range, &mut batch, |regions| regions.undo_insert(range))?;
        Err(error)
    }

    /// Fills in all pages of `range`. Each page is a step of its own, between which others may use the space.
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
