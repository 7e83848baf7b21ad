//! The regions of an address space, by address.
//!
//! A sorted array: an address space has few regions, and each lookup is one binary search in one piece of memory. How
//! many there can be is limited, so that each operation is soon done.
//!
//! - REGION-1: the regions ascend and no two have an address in common.
//! - REGION-2: no two that touch could be one ([`Region::absorb`]).
//! - REGION-3: an operation either does all of its work or, with an error, nothing. It asks for all the memory that it
//!   needs before it changes anything.
#![forbid(unsafe_code)]

mod change;
mod grow;

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::REGIONS_MAX;

use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::space::region::{Region, RegionFlags};

pub use grow::{GUARD_PAGES, break_guard};

/// The regions of an address space. See the module's page.
pub(super) struct RegionMap {
    regions: Vec<Region>,
    /// The index that was found last, or what was it before a change: faults come in bunches, and what is mapped is
    /// soon touched, and then unmapped.
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

    /// Makes room for so many regions more, so that the next operation cannot fail for want of memory.
    #[inline]
    pub(super) fn reserve(&mut self, len_new: usize) -> Result<(), NoMemory> {
        if self.regions.len() + len_new > REGIONS_MAX {
            return Err(NoMemory);
        }
        self.regions.try_reserve(len_new).map_err(|_| NoMemory)
    }

    /// Whether `region` can be added, but for want of memory.
    ///
    /// # Errors
    /// `Overlap`, and those of [`Region::check`].
    pub(super) fn check_new(&self, region: &Region) -> Result<(), SpaceError> {
        region.check()?;
        match self.overlapping(region.range).next() {
            Some(_) => Err(SpaceError::Overlap),
            None => Ok(()),
        }
    }

    /// Adds `region`, as a part of its neighbours where it is like them. It may lie next to one that grows, which then
    /// does not grow there any more.
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
        self.reserve(1)?;
        self.insert_at(index, region);
        Ok(())
    }

    /// Puts `region` in the place of whatever is in its range, as a part of its neighbours where it is like them.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn replace(&mut self, region: Region) -> Result<(), NoMemory> {
        self.reserve(2)?;
        let indices = self.indices(region.range);
        let inside = self.split_at_ends(region.range, indices)?;
        let index = inside.start;
        self.regions.drain(inside);
        self.insert_at(index, region);
        Ok(())
    }

    /// Adds `region`, which belongs before the one at `index`, as a part of its neighbours where it is like them
    /// (REGION-2). There is room for it.
    #[inline(always)]
    fn insert_at(&mut self, index: usize, region: Region) {
        if let Some(below) = index.checked_sub(1)
            && let Some(neighbour) = self.regions.get_mut(below)
            && neighbour.absorb(&region)
        {
            *self.recent.get_mut() = below;
            self.join_with_next(below);
        } else {
            self.regions.insert(index, region);
            self.join_with_next(index);
        }
    }

    /// Makes one of the region at `index` and the next, if they can be (REGION-2).
    #[inline]
    fn join_with_next(&mut self, index: usize) {
        if let Some([region, next, ..]) = self.regions.get_mut(index..)
            && region.absorb(next)
        {
            self.regions.remove(index + 1);
        }
    }

    /// Makes one of those neighbours that can be (REGION-2), after the regions at `indices` have changed.
    #[inline(always)]
    fn join_changed(&mut self, indices: Range<usize>) {
        if indices.len() > 1 {
            self.join_many(indices);
            return;
        }
        self.join_with_next(indices.start);
        if let Some(below) = indices.start.checked_sub(1) {
            self.join_with_next(below);
        }
    }

    /// As `join_changed`, in one pass however many there are.
    #[inline(never)]
    fn join_many(&mut self, indices: Range<usize>) {
        let end = (indices.end + 1).min(self.regions.len());
        let mut last = indices.start.saturating_sub(1);
        for next in last + 1..end {
            let pair = self.regions.get_disjoint_mut([last, next]);
            if !pair.is_ok_and(|[region, neighbour]| region.absorb(neighbour)) {
                last += 1;
                self.regions.swap(last, next);
            }
        }
        self.regions.drain(last + 1..end);
    }

    /// Takes `range` out of all regions. A region that reaches over one end of it is cut, one that reaches over both is
    /// split. There may be holes in it.
    ///
    /// # Errors
    /// `Pinned` if something in it is, `NoMemory`.
    pub(super) fn remove(&mut self, range: UserRange) -> Result<(), SpaceError> {
        let first = self.first_ending_after(range.start());
        if let Some(region) = self.regions.get(first)
            && region.range == range
            && !region.is_pinned()
        {
            // Nearly always: what was added as a whole goes as a whole.
            self.regions.remove(first);
            return Ok(());
        }
        let mut behind = first;
        while let Some(region) = self.regions.get(behind)
            && region.range.start() < range.end()
        {
            if region.is_pinned() {
                return Err(SpaceError::Pinned);
            }
            behind += 1;
        }
        let inside = self.split_at_ends(range, first..behind)?;
        self.regions.drain(inside);
        Ok(())
    }

    /// Splits those of the regions at `indices`, which are all that have an address in common with `range`, that reach
    /// over its ends. Returns where those are that lie inside of it.
    #[inline]
    fn split_at_ends(
        &mut self,
        range: UserRange,
        indices: Range<usize>,
    ) -> Result<Range<usize>, NoMemory> {
        let touched = self.regions.get(indices.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (touched.first(), touched.last()) else {
            return Ok(indices);
        };
        let begins_before = first.range.start() < range.start();
        let ends_behind = range.end() < last.range.end();
        let len_new = usize::from(begins_before) + usize::from(ends_behind);
        self.reserve(len_new)?;
        // The upper end first: what is below keeps its index.
        if ends_behind {
            self.split(indices.end - 1, range.end());
        }
        if begins_before {
            self.split(indices.start, range.start());
        }
        let shift = usize::from(begins_before);
        Ok(indices.start + shift..indices.end + shift)
    }

    /// Makes two of the region at `index`, which has `boundary` inside. There is room for them.
    fn split(&mut self, index: usize, boundary: VirtAddr) {
        let region = self.regions.get_mut(index);
        if let Some(above) = region.and_then(|region| region.split_off(boundary)) {
            self.regions.insert(index + 1, above);
        }
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
            ..RegionMap::new()
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
}

#[cfg(test)]
mod tests;
