//! Changes to what is there: rights, and being pinned.
#![forbid(unsafe_code)]

use super::RegionMap;
use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};

impl RegionMap {
    /// Gives all of `range` the rights `protection`, pinned or not. Regions that reach over its ends are split.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `KernelOnly` if only the kernel may use some of it and `protection` lets
    /// users in, `ReadOnly` if it would let them write a file that may not be written, `NoMemory`.
    pub(in crate::space) fn protect(
        &mut self,
        range: UserRange,
        protection: Protection,
    ) -> Result<(), SpaceError> {
        self.check_protectable(range, protection)?;
        Ok(self.change(range, |region| region.protection = protection)?)
    }

    /// [`RegionMap::protect`] and [`RegionMap::set_pinned`] in one step.
    ///
    /// # Errors
    /// Those of both.
    pub(in crate::space) fn protect_and_pin(
        &mut self,
        range: UserRange,
        protection: Protection,
        is_pinned: bool,
    ) -> Result<(), SpaceError> {
        self.check_protectable(range, protection)?;
        Ok(self.change(range, |region| {
            region.protection = protection;
            region.flags.set(RegionFlags::PINNED, is_pinned);
        })?)
    }

    /// Pins all of `range`, or unpins it. Regions that reach over its ends are split.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `NoMemory`.
    pub(in crate::space) fn set_pinned(
        &mut self,
        range: UserRange,
        is_pinned: bool,
    ) -> Result<(), SpaceError> {
        self.check_covered(range)?;
        Ok(self.change(range, |region| {
            region.flags.set(RegionFlags::PINNED, is_pinned);
        })?)
    }

    /// Whether what is in `range` can be moved to other frames.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `Pinned` if something in it is.
    pub(in crate::space) fn check_movable(&self, range: UserRange) -> Result<(), SpaceError> {
        self.check_covered(range)?;
        if self.touches_pinned(range) {
            return Err(SpaceError::Pinned);
        }
        Ok(())
    }

    fn check_protectable(
        &self,
        range: UserRange,
        protection: Protection,
    ) -> Result<(), SpaceError> {
        self.check_covered(range)?;
        let is_for_users = !protection.contains(Protection::KERNEL);
        let is_kernels = |region: &Region| region.protection.contains(Protection::KERNEL);
        if is_for_users && self.overlapping(range).any(is_kernels) {
            return Err(SpaceError::KernelOnly);
        }
        let is_read_only = |region: &Region| !region.backing.may_be_written();
        if protection.contains(Protection::WRITE) && self.overlapping(range).any(is_read_only) {
            return Err(SpaceError::ReadOnly);
        }
        Ok(())
    }

    fn check_covered(&self, range: UserRange) -> Result<(), SpaceError> {
        if self.covers(range) {
            Ok(())
        } else {
            Err(SpaceError::NotMapped)
        }
    }

    /// Does `change` to all regions in `range`, or to their parts there.
    fn change(&mut self, range: UserRange, change: impl Fn(&mut Region)) -> Result<(), NoMemory> {
        self.reserve()?;
        self.split(range.start());
        self.split(range.end());
        let indices = self.indices(range);
        let regions = self.regions.get_mut(indices.clone());
        regions.unwrap_or_default().iter_mut().for_each(change);
        self.merge_around(indices);
        Ok(())
    }

    /// Makes two of the region that has `boundary` inside, if there is one. There is room for it.
    fn split(&mut self, boundary: VirtAddr) {
        let index = self.first_ending_after(boundary);
        if let Some(region) = self.regions.get_mut(index)
            && let (Some(below), Some(above)) = (region.below(boundary), region.from(boundary))
        {
            *region = below;
            self.regions.insert(index + 1, above);
        }
    }
}
