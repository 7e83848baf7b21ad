//! Eager regions: all their pages are there when they are added, as large as they fit.
//!
//! Guarantee: an eager region comes with all of its pages, or nothing has changed; no call sees anything in between.
//!
//! What takes long, and what mostly fails, is getting the memory, so that comes first, with no lock held: others use
//! the space meanwhile. Then the pages are mapped and the region is added, with the space alone. Should there be no
//! memory for a page-table page, what has been mapped by then is taken out again, which needs none: the tables that it
//! is in are the space's own, and no page reaches over the region's ends.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::addr::{PAGE_SIZE, UserRange, VirtAddr};
use crate::error::{MapError, NoMemory, SpaceError};
use crate::flush::{ActiveCpus, FlushBatch, Kernel, limbo};
use crate::frame::{self, BigFrame, Frame, FrameChain, FrameKind};
use crate::page_table::{
    Access, Geometry, Perm, VmIter, VmIterMut, X86, highest_leaf_level, order_of,
};
use crate::rw_lock::pause_point;
use crate::space::backing::{Backing, PageContent};
use crate::space::fault::FilePage;
use crate::space::region::Region;
use crate::space::{Memory, Space};

impl Space {
    /// [`Space::add`] of an eager region.
    #[cold]
    pub(super) fn add_eager(&self, region: Region) -> Result<(), SpaceError> {
        self.memory.read().regions.check_new(&region)?;
        // Dropped last: what is left of them is given back without the lock.
        let mut pages = Pages::of(&region, u64::MAX)?;
        let mut memory = self.memory.write();
        memory.insert_with_pages(region, &mut pages, &self.cpus)
    }

    /// [`Space::add_anywhere`] of an eager region, which has been made for one free range.
    #[cold]
    pub(super) fn add_eager_anywhere(
        &self,
        region: Region,
        align_bytes: usize,
    ) -> Result<UserRange, SpaceError> {
        region.check()?;
        let mut pages = Pages::of(&region, align_bytes as u64)?;
        let mut memory = self.memory.write();
        // The range may have been taken meanwhile.
        let range = memory.find_free(region.range.len_bytes(), align_bytes)?;
        memory.insert_with_pages(region.moved_to(range), &mut pages, &self.cpus)?;
        Ok(range)
    }
}

/// The memory of an eager region that is not mapped yet.
enum Pages {
    /// Zeros: big pages, with their distances from the region's start, the last one first; the rest are of 4 KiB.
    Zeros {
        big: Vec<(u64, BigFrame)>,
        small: FrameChain,
    },
    /// What a file, or shared memory, shows: pages of 4 KiB, the last one first, with what each may allow.
    Shown(Vec<(Frame, Perm)>),
    /// Physical memory, which is there.
    Physical,
}

impl Pages {
    /// The memory of `region`. If it is moved before it is mapped, then by multiples of `align_bytes`.
    fn of(region: &Region, align_bytes: u64) -> Result<Pages, SpaceError> {
        match region.backing {
            Backing::Anonymous => Pages::zeros(region.range, align_bytes),
            Backing::File(_) => Pages::shown(region),
            Backing::Physical(_) => Ok(Pages::Physical),
        }
    }

    fn zeros(range: UserRange, align_bytes: u64) -> Result<Pages, SpaceError> {
        // A request for more than there is must not take all of it, even for a moment.
        if range.len_pages() > frame::accounts().free {
            return Err(SpaceError::NoMemory);
        }
        let (mut big, mut small) = (Vec::new(), FrameChain::new());
        let (start, end) = (range.start().as_u64(), range.end().as_u64());
        let mut page = start;
        while page < end {
            let fits = |level: &u32| {
                let span = X86::FOUR_LEVELS.span(*level);
                span <= align_bytes && page.is_multiple_of(span) && end - page >= span
            };
            let mut levels = (2..=highest_leaf_level()).rev().filter(fits);
            let zeros =
                levels.find_map(|level| frame::alloc_big_zeroed(order_of(level), ANONYMOUS).ok());
            if let Some(zeros) = zeros {
                let len_bytes = (zeros.len_pages() * PAGE_SIZE) as u64;
                big.try_reserve(1).map_err(|_| NoMemory)?;
                big.push((page - start, zeros));
                page += len_bytes;
            } else {
                // A frame with one owner is always taken.
                let pushed = small.push(frame::alloc_zeroed(ANONYMOUS)?);
                pushed.map_err(|_| NoMemory)?;
                page += PAGE_SIZE as u64;
            }
            pause_point()?;
        }
        big.reverse();
        Ok(Pages::Zeros { big, small })
    }

    fn shown(region: &Region) -> Result<Pages, SpaceError> {
        let mut frames = Vec::new();
        frames
            .try_reserve_exact(region.range.len_pages())
            .map_err(|_| NoMemory)?;
        for page in region.range.pages() {
            frames.push(match region.content_at(page) {
                PageContent::File {
                    source,
                    index,
                    len_bytes,
                    sharing,
                } => {
                    let fetched = FilePage::new(source, index).fetch()?;
                    fetched.mapped(len_bytes, sharing, region.protection, false)?
                }
                PageContent::Zero | PageContent::Physical { .. } => {
                    (frame::alloc_zeroed(ANONYMOUS)?, region.protection.perm())
                }
            });
            pause_point()?;
        }
        frames.reverse();
        Ok(Pages::Shown(frames))
    }

    /// Maps all in the holes of `table` that `region` has.
    ///
    /// # Errors
    /// `NoMemory` for page-table pages. Some of the pages are mapped then.
    fn map_in(
        &mut self,
        region: &Region,
        iter: &mut VmIterMut<'_>,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), MapError> {
        match self {
            Pages::Zeros { big, small } => map_zeros(region, big, small, iter, batch),
            Pages::Shown(frames) => region.range.pages().try_for_each(|page| {
                let (frame, perm) = frames.pop().ok_or(MapError::NoMemory)?;
                hole_at(iter, page, batch)?.try_fill(frame, perm)
            }),
            Pages::Physical => region.map_physical_all(iter, batch),
        }
    }
}

const ANONYMOUS: FrameKind = FrameKind::Anonymous;

/// Goes to the hole at `page`, in tables that are the space's own: an empty one there may be shared with a fork.
fn hole_at<'i, 't>(
    iter: &'i mut VmIterMut<'t>,
    page: VirtAddr,
    batch: &mut FlushBatch<'_>,
) -> Result<&'i mut VmIterMut<'t>, NoMemory> {
    iter.find(page).make_private(batch)?;
    Ok(iter)
}

fn map_zeros(
    region: &Region,
    big: &mut Vec<(u64, BigFrame)>,
    small: &mut FrameChain,
    iter: &mut VmIterMut<'_>,
    batch: &mut FlushBatch<'_>,
) -> Result<(), MapError> {
    let perm = region.protection.perm();
    let (start, end) = (region.range.start().as_u64(), region.range.end().as_u64());
    let mut page = start;
    while page < end {
        let at = VirtAddr::new(page);
        let next_big = big.last().map(|(distance, _)| start + distance);
        if next_big == Some(page)
            && let Some((_, zeros)) = big.pop()
        {
            page += (zeros.len_pages() * PAGE_SIZE) as u64;
            hole_at(iter, at, batch)?.try_map_big(zeros, perm, batch)?;
        } else {
            let frame = small.pop().ok_or(MapError::NoMemory)?;
            hole_at(iter, at, batch)?.try_fill(frame, perm)?;
            page += PAGE_SIZE as u64;
        }
    }
    Ok(())
}

impl Memory {
    /// Adds `region`, with `pages` mapped in it.
    ///
    /// # Errors
    /// As for [`Space::add`].
    fn insert_with_pages(
        &mut self,
        region: Region,
        pages: &mut Pages,
        cpus: &ActiveCpus,
    ) -> Result<(), SpaceError> {
        let (start, end) = (region.range.start(), region.range.end());
        self.regions.check_new(&region)?;
        self.regions.reserve(1)?;
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(cpus);
        // Also so that taking the pages out again needs no memory.
        self.prepare_pages(region.range, &mut batch)?;
        limbo::drain_range(Kernel, cpus.space(), region.range);
        // A space that has been destroyed stays empty.
        let table = self.table().ok_or(SpaceError::NotMapped)?;
        let mut iter = VmIterMut::new_mut(table, start);
        if let Err(error) = pages.map_in(&region, &mut iter, &mut batch) {
            table.unmap_range(start, end, &mut batch, || Ok::<(), NoMemory>(()))?;
            return Err(error.into());
        }
        self.insert(region, cpus)
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

    /// As `map_physical_around`, for all of its pages, which are holes.
    fn map_physical_all(
        &self,
        iter: &mut VmIterMut<'_>,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), MapError> {
        let mut page = self.range.start().as_u64();
        while page < self.range.end().as_u64() {
            self.map_physical_around(hole_at(iter, VirtAddr::new(page), batch)?)?;
            page += X86::FOUR_LEVELS.span(iter.level());
        }
        Ok(())
    }
}
