//! `page_alloc`: fresh zeroed pages at addresses that the user chooses.
//!
//! As in WeensyOS the pages are there when the call returns, so that it is this call that says when memory runs out;
//! and a page that `page_alloc` has put there before is replaced by a fresh one. It replaces nothing else: where the
//! program, its stack or a mapping lies, the call fails with `EEXIST`.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::flush::{FlushBatch, Kernel, limbo};
use crate::frame::{self, FrameChain, FrameKind};
use crate::hw;
use crate::page_table::VmIterMut;
use crate::rw_lock::pause_point;
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};
use crate::space::{Memory, Space};

/// Whether `page_alloc` takes any address (`break=pagealloc`).
static IS_UNCHECKED: AtomicBool = AtomicBool::new(false);

/// Makes `page_alloc` take any address (`break=pagealloc`).
pub fn break_page_alloc() {
    // Relaxed: set at boot, before the first process.
    IS_UNCHECKED.store(true, Ordering::Relaxed);
}

impl Space {
    /// What `page_alloc` does about an address that is not a user's: nothing, unless it is broken. Then the page that
    /// is there already, the kernel's, becomes the user's too.
    ///
    /// # Errors
    /// `KernelHalf`.
    #[cold]
    pub fn page_alloc_outside(&self, page: VirtAddr) -> Result<(), SpaceError> {
        // Relaxed: set at boot.
        if !IS_UNCHECKED.load(Ordering::Relaxed) {
            return Err(SpaceError::KernelHalf);
        }
        let mut memory = self.memory.write();
        let is_mapped = memory.table().is_some_and(|table| table.let_users_in(page));
        if is_mapped {
            hw::flush_page(page);
            Ok(())
        } else {
            Err(SpaceError::KernelHalf)
        }
    }

    /// Puts a fresh zeroed page, readable and writable, at each address in `range`.
    ///
    /// # Errors
    /// `Overlap` if something other than pages of `page_alloc` is there, `Pinned` if one of those is, `NoMemory`.
    /// Nothing has changed then.
    pub fn page_alloc(&self, range: UserRange) -> Result<(), SpaceError> {
        // Dropped last: what is left of the frames is given back without the lock.
        let mut frames = zeroed_frames(range.len_pages())?;
        let mut memory = self.memory.write();
        limbo::drain_range(Kernel, self.id(), range);
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.page_alloc(range, &mut frames, &mut batch)
    }
}

fn zeroed_frames(len_pages: usize) -> Result<FrameChain, SpaceError> {
    // A request for more than there is must not take all of it, even for a moment.
    if len_pages > 1 && len_pages > frame::accounts().free {
        return Err(SpaceError::NoMemory);
    }
    let mut frames = FrameChain::new();
    for _ in 0..len_pages {
        frames
            .push(frame::alloc_zeroed(FrameKind::Anonymous)?)
            .map_err(|_| SpaceError::NoMemory)?;
        pause_point()?;
    }
    Ok(frames)
}

impl Memory {
    fn page_alloc(
        &mut self,
        range: UserRange,
        frames: &mut FrameChain,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), SpaceError> {
        let mut is_empty = true;
        for region in self.regions.overlapping(range) {
            if !region.flags.contains(RegionFlags::PAGE_ALLOC) {
                return Err(SpaceError::Overlap);
            }
            if region.flags.contains(RegionFlags::PINNED) {
                return Err(SpaceError::Pinned);
            }
            is_empty = false;
        }
        self.regions.reserve(2)?;
        if !is_empty {
            self.prepare_replacing(range, batch)?;
        }
        if let Err(error) = self.map_where_no_region_is(range, frames, batch) {
            self.unmap_where_no_region_is(range, batch);
            return Err(error);
        }
        // From here on nothing needs memory any more.
        if !is_empty {
            self.replace_where_a_region_is(range, frames, batch)?;
        }
        self.regions.replace(Region::anonymous(
            range,
            Protection::WRITE,
            RegionFlags::PAGE_ALLOC,
        ))?;
        Ok(())
    }

    /// SPACE-6, for giving each page in `range` another frame.
    fn prepare_replacing(
        &mut self,
        range: UserRange,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        self.prepare_pages(range, batch)?;
        let Some(table) = self.table() else {
            return Ok(());
        };
        let mut page = VmIterMut::new_mut(table, range.start());
        while page.find_mapping(range.end()) {
            while page.level() > 1 {
                page.split(batch)?;
            }
            page.next();
        }
        Ok(())
    }

    /// Fills the holes in `range`, which are the pages outside of all regions (SPACE-2).
    fn map_where_no_region_is(
        &mut self,
        range: UserRange,
        frames: &mut FrameChain,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), SpaceError> {
        let Some(table) = &mut self.table else {
            return Err(SpaceError::NotMapped);
        };
        let mut iter = VmIterMut::new_mut(table.get_mut(), range.start());
        for page in range.pages() {
            if !iter.find(page).present() {
                iter.try_map(
                    frames.pop().ok_or(NoMemory)?,
                    Protection::WRITE.perm(),
                    batch,
                )?;
            }
        }
        Ok(())
    }

    /// Undoes what `map_where_no_region_is` has done.
    fn unmap_where_no_region_is(&mut self, range: UserRange, batch: &mut FlushBatch<'_>) {
        let Some(table) = &mut self.table else { return };
        let mut iter = VmIterMut::new_mut(table.get_mut(), range.start());
        for page in range
            .pages()
            .filter(|page| self.regions.find(*page).is_none())
        {
            iter.find(page).unmap(batch);
        }
    }

    /// Replaces the pages that `page_alloc` has put into `range` before.
    fn replace_where_a_region_is(
        &mut self,
        range: UserRange,
        frames: &mut FrameChain,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), SpaceError> {
        let Some(table) = &mut self.table else {
            return Err(SpaceError::NotMapped);
        };
        let mut iter = VmIterMut::new_mut(table.get_mut(), range.start());
        for page in range
            .pages()
            .filter(|page| self.regions.find(*page).is_some())
        {
            iter.find(page).try_map(
                frames.pop().ok_or(NoMemory)?,
                Protection::WRITE.perm(),
                batch,
            )?;
        }
        Ok(())
    }
}
