//! The regions of an address space, by address.
//!
//! A sorted array: an address space has few regions, and each lookup is one binary search in one piece of memory.
//!
//! - REGION-1: the regions ascend and no two have an address in common.
//! - REGION-2: no two that touch could be one ([`Region::merged_with`]).
//! - REGION-3: an operation either does all of its work or, with an error, nothing. It asks for all the memory that it needs
//!   before it changes anything.
#![forbid(unsafe_code)]

mod change;
mod grow;

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::space::region::{Region, RegionFlags};

pub use grow::{GUARD_PAGES, break_guard};

/// The regions of an address space. See the module's page.
#[derive(Default)]
pub(super) struct RegionMap {
    regions: Vec<Region>,
    /// The index that was found last, or what was it before a change: faults come in bunches, and what is mapped is soon
    /// touched, and then unmapped.
    recent: AtomicUsize,
}

impl RegionMap {
    /// No regions.
    pub(super) const fn new() -> RegionMap {
        RegionMap {
            regions: Vec::new(),
            recent: AtomicUsize::new(0),
        }
    }

    /// The region that contains `address`.
    #[inline]
    pub(super) fn find(&self, address: VirtAddr) -> Option<&Region> {
        // Relaxed: a guess, which is checked.
        let recent = self.regions.get(self.recent.load(Ordering::Relaxed));
        match recent {
            Some(region) if region.range.contains(address) => recent,
            _ => self.search(address),
        }
    }

    fn search(&self, address: VirtAddr) -> Option<&Region> {
        let index = self.first_ending_after(address);
        self.regions
            .get(index)
            .filter(|region| region.range.contains(address))
    }

    /// The regions that have an address in common with `range`, ascending.
    pub(super) fn overlapping(&self, range: UserRange) -> impl Iterator<Item = &Region> {
        let first = self.first_ending_after(range.start());
        let rest = self.regions.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |region| region.range.start() < range.end())
    }

    /// All regions, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter()
    }

    /// Whether each page of `range` is in a region.
    pub(super) fn covers(&self, range: UserRange) -> bool {
        let mut next = range.start();
        for region in self.overlapping(range) {
            if next < region.range.start() {
                return false;
            }
            next = region.range.end();
        }
        next >= range.end()
    }

    /// Whether each page of `range` is one of `page_alloc`'s.
    pub(super) fn is_all_page_alloc(&self, range: UserRange) -> bool {
        let is_page_alloc = |region: &Region| region.flags.contains(RegionFlags::PAGE_ALLOC);
        self.covers(range) && self.overlapping(range).all(is_page_alloc)
    }

    /// Whether something in `range` is pinned.
    pub(super) fn touches_pinned(&self, range: UserRange) -> bool {
        self.overlapping(range).any(Region::is_pinned)
    }

    /// Makes room for two regions more, so that the next operation cannot fail for want of memory.
    pub(super) fn reserve(&mut self) -> Result<(), NoMemory> {
        self.regions.try_reserve(2).map_err(|_| NoMemory)
    }

    /// Adds `region`, as a part of its neighbours where it is like them. It may lie next to one that grows, which then does
    /// not grow there any more.
    ///
    /// # Errors
    /// `Overlap`, `NoMemory`, and those of [`Region::check`].
    pub(super) fn insert(&mut self, region: Region) -> Result<(), SpaceError> {
        region.check()?;
        let index = self.first_ending_after(region.range.start());
        let next = self.regions.get(index);
        if next.is_some_and(|next| next.range.start() < region.range.end()) {
            return Err(SpaceError::Overlap);
        }
        // Not more than needed, so that undoing this cannot fail.
        self.regions.try_reserve(1).map_err(|_| NoMemory)?;
        self.regions.insert(index, region);
        self.merge_around(index..index + 1);
        Ok(())
    }

    /// Puts `region` in the place of whatever is in its range, as a part of its neighbours where it is like them.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn replace(&mut self, region: Region) -> Result<(), NoMemory> {
        let range = region.range;
        self.cut_out(range, self.indices(range), Some(region))?;
        let index = self.first_ending_after(range.start());
        self.merge_around(index..index + 1);
        Ok(())
    }

    /// Restores REGION-2 after a change of the regions at `indices`: joins those that can be one among them, the one before
    /// and the one behind.
    fn merge_around(&mut self, indices: Range<usize>) {
        for index in (indices.start.saturating_sub(1)..indices.end).rev() {
            self.merge_with_next(index);
        }
    }

    /// Takes `range` out of all regions. A region that reaches over one end of it is cut, one that reaches over both is
    /// split. There may be holes in it.
    ///
    /// # Errors
    /// `Pinned` if something in it is, `NoMemory`.
    pub(super) fn remove(&mut self, range: UserRange) -> Result<(), SpaceError> {
        let indices = self.indices(range);
        let touched = self.regions.get(indices.clone()).unwrap_or_default();
        if touched.iter().any(Region::is_pinned) {
            return Err(SpaceError::Pinned);
        }
        Ok(self.cut_out(range, indices, None)?)
    }

    /// Takes out what has been inserted as `range`, pinned or not.
    ///
    /// # Errors
    /// `NoMemory`, but only if something else has changed since.
    pub(super) fn undo_insert(&mut self, range: UserRange) -> Result<(), NoMemory> {
        self.cut_out(range, self.indices(range), None)
    }

    /// Takes `range` out of all regions that have an address in common with it, those at `indices`, and puts `instead` there.
    fn cut_out(
        &mut self,
        range: UserRange,
        indices: Range<usize>,
        instead: Option<Region>,
    ) -> Result<(), NoMemory> {
        let touched = self.regions.get(indices.clone()).unwrap_or_default();
        if instead.is_none()
            && let [region] = touched
            && range.covers(region.range)
        {
            // Nearly always: what was added as a whole goes as a whole.
            self.regions.remove(indices.start);
            return Ok(());
        }
        let below = touched
            .first()
            .and_then(|region| region.below(range.start()));
        let above = touched.last().and_then(|region| region.from(range.end()));
        let is_there = [below.is_some(), instead.is_some(), above.is_some()];
        let len_new = is_there.iter().filter(|is_there| **is_there).count();
        // Not more than needed, so that undoing an insertion cannot fail.
        self.regions
            .try_reserve(len_new.saturating_sub(touched.len()))
            .map_err(|_| NoMemory)?;
        self.regions
            .splice(indices, below.into_iter().chain(instead).chain(above));
        Ok(())
    }

    /// A copy, for a new address space.
    pub(super) fn try_clone(&self) -> Result<RegionMap, NoMemory> {
        let mut regions = Vec::new();
        regions
            .try_reserve_exact(self.regions.len())
            .map_err(|_| NoMemory)?;
        regions.extend_from_slice(&self.regions);
        Ok(RegionMap {
            regions,
            recent: AtomicUsize::new(0),
        })
    }

    /// The index of the first region that ends after `address`: the one with `address`, or else the next.
    #[inline]
    fn first_ending_after(&self, address: VirtAddr) -> usize {
        let ends_before = |region: &Region| region.range.end() <= address;
        // Relaxed: a guess, which is checked.
        let recent = self.recent.load(Ordering::Relaxed);
        if let Some((before, rest)) = self.regions.split_at_checked(recent)
            && before.last().is_none_or(ends_before)
            && !rest.first().is_some_and(ends_before)
        {
            return recent;
        }
        let index = self.regions.partition_point(ends_before);
        self.recent.store(index, Ordering::Relaxed);
        index
    }

    /// The indices of the regions that have an address in common with `range`.
    fn indices(&self, range: UserRange) -> Range<usize> {
        let first = self.first_ending_after(range.start());
        let rest = self.regions.get(first..).unwrap_or_default();
        let touched = rest
            .iter()
            .take_while(|region| region.range.start() < range.end());
        first..first + touched.count()
    }

    fn merge_with_next(&mut self, index: usize) {
        if let Some([region, next]) = self.regions.get_mut(index..index + 2)
            && let Some(merged) = region.merged_with(next)
        {
            *region = merged;
            self.regions.remove(index + 1);
        }
    }
}

#[cfg(test)]
mod tests;
