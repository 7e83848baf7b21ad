//! Regions that grow, and room for new ones.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use super::RegionMap;
use crate::addr::{PAGE_SIZE, USER_END, UserRange, VirtAddr, user_start};
use crate::space::region::Region;

/// How many pages a growing region leaves free before its neighbour, so that whoever runs off its end does not land in
/// the other.
pub const GUARD_PAGES: usize = 16;

/// Whether regions grow right up to their neighbours (`break=guard`).
static IS_GUARD_BROKEN: AtomicBool = AtomicBool::new(false);

/// Lets regions grow right up to their neighbours (`break=guard`).
pub fn break_guard() {
    // Relaxed: set at boot, before the first process.
    IS_GUARD_BROKEN.store(true, Ordering::Relaxed);
}

fn guard_bytes() -> u64 {
    // Relaxed: set at boot.
    if IS_GUARD_BROKEN.load(Ordering::Relaxed) {
        0
    } else {
        (GUARD_PAGES * PAGE_SIZE) as u64
    }
}

impl RegionMap {
    /// The region with `address`: the one that it is in, or else the nearest that may grow there, and has grown.
    ///
    /// A region grows as far as its limit allows, but only until [`GUARD_PAGES`] before its neighbour, and within user
    /// space. Of two that are equally near, the upper one grows. Needs no memory.
    pub(in crate::space) fn grow_to(&mut self, address: VirtAddr) -> Option<&Region> {
        if !address.is_user() {
            return None;
        }
        let page = address.page_align_down();
        let above = self.first_ending_after(page);
        let is_there = |region: &Region| region.range.contains(page);
        if self.regions.get(above).is_some_and(is_there) {
            return self.regions.get(above);
        }
        let down = self.grown_down(above, page);
        let up = above
            .checked_sub(1)
            .and_then(|below| self.grown_up(below, page));
        let (index, range) = match (down, up) {
            (Some(down), Some(up)) if up.len_added < down.len_added => (above - 1, up.range),
            (Some(down), _) => (above, down.range),
            (None, Some(up)) => (above - 1, up.range),
            (None, None) => return None,
        };
        let region = self.regions.get_mut(index)?;
        region.range = range;
        Some(region)
    }

    /// What the region at `index`, above `page`, is when it has grown down to it, if it may.
    fn grown_down(&self, index: usize, page: VirtAddr) -> Option<Grown> {
        let region = self.regions.get(index)?;
        let neighbour = index
            .checked_sub(1)
            .and_then(|before| self.regions.get(before));
        let guarded = neighbour.map_or(Some(user_start()), |neighbour| {
            neighbour.range.end().checked_add(guard_bytes())
        })?;
        let lowest = region
            .growth_limit
            .map_or(guarded, |limit| limit.max(guarded));
        if !region.grows_down() || page < lowest {
            return None;
        }
        Grown::of(region, page, region.range.end())
    }

    /// What the region at `index`, below `page`, is when it has grown up to have it, if it may.
    fn grown_up(&self, index: usize, page: VirtAddr) -> Option<Grown> {
        let region = self.regions.get(index)?;
        let guarded = self
            .regions
            .get(index + 1)
            .map_or(Some(USER_END), |neighbour| {
                neighbour.range.start().checked_sub(guard_bytes())
            })?;
        let highest = region
            .growth_limit
            .map_or(guarded, |limit| limit.min(guarded));
        let end = page.checked_add(PAGE_SIZE as u64)?;
        if !region.grows_up() || end > highest {
            return None;
        }
        Grown::of(region, region.range.start(), end)
    }

    /// The highest free range below `below` of `len_pages` pages whose start is a multiple of `align_bytes` (and of the
    /// page size), if there is one.
    ///
    /// It leaves free what a neighbour that grows may come to have by its limit, and the guard gap before that.
    /// Programs and their stacks lie low, so that there is room above them as long as there is any.
    pub(in crate::space) fn find_free(
        &self,
        len_pages: usize,
        align_bytes: usize,
        below: VirtAddr,
    ) -> Option<UserRange> {
        let len_bytes = len_pages.checked_mul(PAGE_SIZE)?;
        let align_bytes = align_bytes.max(PAGE_SIZE) as u64;
        let mut end = USER_END;
        for region in self.regions.iter().rev() {
            let start = may_reach_up(region);
            let place = place_at_end(start, end.min(below), len_bytes, align_bytes);
            if place.is_some() {
                return place;
            }
            end = may_reach_down(region);
        }
        place_at_end(user_start(), end.min(below), len_bytes, align_bytes)
    }
}

/// The last `len_bytes` bytes between `start` and `end` that begin at a multiple of `align_bytes`.
#[inline]
fn place_at_end(
    start: VirtAddr,
    end: VirtAddr,
    len_bytes: usize,
    align_bytes: u64,
) -> Option<UserRange> {
    let highest = end.checked_sub(len_bytes as u64)?.as_u64();
    let place = highest - highest % align_bytes;
    if place < start.as_u64() {
        return None;
    }
    UserRange::page_aligned(place as usize, len_bytes).ok()
}

/// A region's range after growing.
struct Grown {
    range: UserRange,
    len_added: usize,
}

impl Grown {
    fn of(region: &Region, start: VirtAddr, end: VirtAddr) -> Option<Grown> {
        let len_bytes = end.as_usize().checked_sub(start.as_usize())?;
        let range = UserRange::page_aligned(start.as_usize(), len_bytes).ok()?;
        Some(Grown {
            range,
            len_added: len_bytes - region.range.len_bytes(),
        })
    }
}

/// The first address that `region` leaves to what is to lie behind it.
#[inline]
fn may_reach_up(region: &Region) -> VirtAddr {
    let end = region.range.end();
    if !region.grows_up() {
        return end;
    }
    let limit = region.growth_limit.map_or(end, |limit| limit.max(end));
    // Beyond all addresses, nothing lies behind it.
    limit.checked_add(guard_bytes()).unwrap_or(USER_END)
}

/// The end of what `region` leaves to what is to lie before it.
#[inline]
fn may_reach_down(region: &Region) -> VirtAddr {
    let start = region.range.start();
    if !region.grows_down() {
        return start;
    }
    let limit = region.growth_limit.map_or(start, |limit| limit.min(start));
    // Below all addresses, nothing lies before it.
    limit.checked_sub(guard_bytes()).unwrap_or(user_start())
}
