//! Filling in a region at once, with the largest pages that fit.
#![forbid(unsafe_code)]

use crate::addr::{UserRange, VirtAddr};
use crate::error::{MapError, SpaceError};
use crate::flush::FlushBatch;
use crate::frame::{self, FrameKind};
use crate::page_table::{Geometry, VmIterMut, X86, highest_leaf_level};
use crate::space::backing::Backing;
use crate::space::region::{Region, RegionFlags};
use crate::space::{FaultAccess, Space};

impl Space {
    /// Fills in all pages of the region that has just been added as `range`, if it is eager; or else takes it out again.
    pub(super) fn populate_new(
        &self,
        range: UserRange,
        flags: RegionFlags,
    ) -> Result<(), SpaceError> {
        if !flags.contains(RegionFlags::EAGER) {
            return Ok(());
        }
        let Err(error) = self.populate(range) else {
            return Ok(());
        };
        // Nothing but the new region was there.
        let mut memory = self.memory.write();
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.prepare_range(range, &mut batch)?;
        memory.regions.undo_insert(range)?;
        memory.unmap(range, &mut batch);
        Err(error)
    }

    /// Fills in all pages of `range`. Each page is a step of its own, between which others may use the space.
    fn populate(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut page = range.start();
        while page < range.end() {
            let level = self.populate_at(page, range.end())?;
            let len_bytes = X86::FOUR_LEVELS.span(level);
            page = page.checked_add(len_bytes).ok_or(SpaceError::Wraps)?;
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
        self.fault(page, FaultAccess::READ)?;
        Ok(1)
    }

    /// Puts a page of the size of `level` at `page`; false if there can be none.
    fn populate_big(&self, page: VirtAddr, level: u32) -> Result<bool, SpaceError> {
        let order = X86::FOUR_LEVELS.shift(level) - X86::FOUR_LEVELS.shift(1);
        // Made before the space is locked: it takes its time. What is not needed goes back.
        let zeros = match self.memory.read().regions.find(page) {
            Some(region) if region.backing.is_anonymous() => {
                frame::alloc_big_zeroed(order, FrameKind::Anonymous).ok()
            }
            _ => None,
        };
        let mut memory = self.memory.write();
        let memory = &mut *memory;
        let (Some(region), Some(table)) = (memory.regions.find(page), &mut memory.table) else {
            return Ok(false);
        };
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
    fn map_physical(&self, iter: &mut VmIterMut<'_>, level: u32) -> Result<(), MapError> {
        let Backing::Physical(memory) = &self.backing else {
            return Err(MapError::OutOfRange);
        };
        let offset = iter.va().as_u64() - self.range.start().as_u64();
        iter.try_map_physical(memory, offset, level, self.protection.perm())
    }

    /// As `map_physical`, in the largest page that there can be for the page of 4 KiB at `iter`, a hole.
    pub(super) fn map_physical_around(&self, iter: &mut VmIterMut<'_>) -> Result<(), MapError> {
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
