//! Moving pages to other frames, which the kernel chooses.
#![forbid(unsafe_code)]

use crate::addr::UserRange;
use crate::error::{NoMemory, SpaceError};
use crate::flush::FlushBatch;
use crate::frame::{self, FrameChain, FrameKind};
use crate::page_table::{Perm, VmIterMut};
use crate::space::{Memory, Space};

impl Space {
    /// Puts the contents of `range` into other frames. No store is lost: a page is not there while it is copied, and
    /// who touches it waits. Pages that nobody has touched, and those that are shared on purpose, stay as they are.
    ///
    /// # Errors
    /// `NotMapped` if a page is in no region, `Pinned`, `NoMemory`. Nothing has changed then.
    pub fn move_frames(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut memory = self.memory.write();
        memory.regions.check_movable(range)?;
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.prepare_pages(range, &mut batch)?;
        let mut frames = memory.frames_for_moving(range, &mut batch)?;
        memory.move_frames(range, &mut frames, &mut batch)
    }
}

/// Whether the page at `page` has a frame that may change.
fn is_movable(page: &VmIterMut<'_>) -> bool {
    !page
        .entry()
        .perm()
        .intersects(Perm::SHARED | Perm::BORROWED)
}

impl Memory {
    /// As many frames as pages in `range` can move; big pages are split.
    fn frames_for_moving(
        &mut self,
        range: UserRange,
        batch: &mut FlushBatch<'_>,
    ) -> Result<FrameChain, NoMemory> {
        let mut frames = FrameChain::new();
        let Some(table) = self.table() else {
            return Ok(frames);
        };
        let mut page = VmIterMut::new_mut(table, range.start());
        while page.find_mapping(range.end()) {
            if is_movable(&page) {
                while page.level() > 1 {
                    page.split(batch)?;
                }
                let frame = frame::alloc(FrameKind::Anonymous)?;
                // A frame with one owner is always taken.
                frames.push(frame).map_err(|_| NoMemory)?;
            }
            page.next();
        }
        Ok(frames)
    }

    fn move_frames(
        &mut self,
        range: UserRange,
        frames: &mut FrameChain,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), SpaceError> {
        let Some(table) = self.table() else {
            return Err(SpaceError::NotMapped);
        };
        let mut page = VmIterMut::new_mut(table, range.start());
        while page.find_mapping(range.end()) {
            if is_movable(&page) {
                page.move_to(frames.pop().ok_or(NoMemory)?, batch);
            }
            page.next();
        }
        Ok(())
    }
}
