//! Changes to what is there: rights, and being pinned.
#![forbid(unsafe_code)]

use super::RegionMap;
use crate::addr::UserRange;
use crate::error::SpaceError;
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};

impl RegionMap {
    /// Gives all of `range` the rights `protection`, pinned or not. Regions that reach over its ends are split.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `KernelOnly` if only the kernel may use some of it and `protection`
    /// lets users in, `ReadOnly` if it would let them write a file that may not be written, `NoMemory`.
    pub(in crate::space) fn protect(
        &mut self,
        range: UserRange,
        protection: Protection,
    ) -> Result<(), SpaceError> {
        self.change(
            range,
            move |region| check_protectable(region, protection),
            move |region| region.protection = protection,
        )
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
        self.change(
            range,
            move |region| check_protectable(region, protection),
            move |region| {
                region.protection = protection;
                region.flags.set(RegionFlags::PINNED, is_pinned);
            },
        )
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
        self.change(
            range,
            |_| Ok(()),
            |region| region.flags.set(RegionFlags::PINNED, is_pinned),
        )
    }

    /// Whether what is in `range` can be moved to other frames.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, `Pinned` if something in it is.
    pub(in crate::space) fn check_movable(&self, range: UserRange) -> Result<(), SpaceError> {
        if !self.covers(range) {
            return Err(SpaceError::NotMapped);
        }
        if self.touches_pinned(range) {
            return Err(SpaceError::Pinned);
        }
        Ok(())
    }

    /// Does `change` to all regions in `range`, or to their parts there, if `check` lets all of them.
    ///
    /// # Errors
    /// `NotMapped` if a page of it is in no region, what `check` returns, `NoMemory`.
    fn change(
        &mut self,
        range: UserRange,
        check: impl Fn(&Region) -> Result<(), SpaceError>,
        change: impl Fn(&mut Region),
    ) -> Result<(), SpaceError> {
        let first = self.first_ending_after(range.start());
        let (mut covered, mut behind, mut allowed) = (range.start(), first, Ok(()));
        while covered < range.end() {
            let next = self.regions.get(behind);
            let next = next.filter(|next| next.range.start() <= covered);
            let region = next.ok_or(SpaceError::NotMapped)?;
            allowed = allowed.and_then(|()| check(region));
            covered = region.range.end();
            behind += 1;
        }
        allowed?;
        let inside = self.split_at_ends(range, first..behind)?;
        for index in inside.clone() {
            if let Some(region) = self.regions.get_mut(index) {
                change(region);
            }
        }
        self.join_changed(inside);
        Ok(())
    }
}

/// Whether `region` may get the rights `protection`.
fn check_protectable(region: &Region, protection: Protection) -> Result<(), SpaceError> {
    let is_for_users = !protection.contains(Protection::KERNEL);
    if is_for_users && region.protection.contains(Protection::KERNEL) {
        return Err(SpaceError::KernelOnly);
    }
    if protection.contains(Protection::WRITE) && !region.backing.may_be_written() {
        return Err(SpaceError::ReadOnly);
    }
    Ok(())
}
