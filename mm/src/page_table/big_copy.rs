//! Copies of big leaves, for `fork`.

use geometry::{ENTRIES, Geometry};

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::error::MapError;
use crate::flush::FlushBatch;
use crate::frame::{BigFrame, FrameKind};
use crate::page_table::big_leaf::order_of;
use crate::page_table::copy::Copying;
use crate::page_table::perm::Perm;
use crate::page_table::vm_iter::VmIterMut;

impl VmIterMut<'_> {
    /// Does `how` with the big leaf at this position, and maps the result at the same address in `to`; does nothing if
    /// it owns no memory.
    ///
    /// # Errors
    /// As for `copy_mappings_by`. A part of the page may have been mapped then.
    #[cold]
    pub(super) fn copy_big_leaf(
        &mut self,
        how: Copying,
        to: &mut VmIterMut<'_>,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), MapError> {
        let Some((big, perm)) = self.share_big() else {
            return Ok(());
        };
        let start = self.start_of_leaf();
        to.find(start);
        match how {
            Copying::Share => to.try_fill_big(big, perm),
            Copying::ShareUntilWritten => {
                let perm = perm.shared_until_written();
                self.protect(perm, batch);
                to.try_fill_big(big, perm)
            }
            Copying::CopyNow => {
                let of = &big;
                BigCopy { of, start, perm }.fill(to, 0, self.level)
            }
        }
    }

    /// Gives the leaf at this position memory of its own with the same contents, in big pages where there are any; does
    /// nothing if it owns no memory. No CPU uses the table yet. What was mapped is `batch`'s.
    ///
    /// # Errors
    /// `NoMemory`. A part of the page may be unmapped then.
    pub(crate) fn replace_by_copy(&mut self, batch: &mut FlushBatch<'_>) -> Result<(), MapError> {
        if let Some((frame, perm)) = self.share_mapping() {
            let copy = frame.copy(FrameKind::Anonymous)?;
            self.unmap(batch);
            return self.try_map(copy, perm, batch);
        }
        if let Some((big, perm)) = self.share_big() {
            let (of, start, level) = (&big, self.start_of_leaf(), self.level);
            self.unmap(batch);
            BigCopy { of, start, perm }.fill(self, 0, level)?;
        }
        Ok(())
    }

    fn start_of_leaf(&self) -> VirtAddr {
        VirtAddr::new(self.va & !(self.table.geometry().span(self.level) - 1))
    }
}

/// What is to be copied where.
struct BigCopy<'b> {
    of: &'b BigFrame,
    /// The address of the first page's copy.
    start: VirtAddr,
    perm: Perm,
}

impl BigCopy<'_> {
    /// Maps a copy of what a leaf of `level` maps from page `first` on, as one leaf if there is such memory, or in
    /// parts.
    fn fill(&self, to: &mut VmIterMut<'_>, first: usize, level: u32) -> Result<(), MapError> {
        to.find(VirtAddr::new(
            self.start.as_u64() + (first * PAGE_SIZE) as u64,
        ));
        if level == 1 {
            return to.try_fill(self.of.copy_page(first, FrameKind::Anonymous)?, self.perm);
        }
        let copy = self
            .of
            .copy_part(first, order_of(level), FrameKind::Anonymous);
        if let Ok(copy) = copy {
            return to.try_fill_big(copy, self.perm);
        }
        (0..ENTRIES).try_for_each(|part| {
            let first = first + (part << order_of(level - 1));
            self.fill(to, first, level - 1)
        })
    }
}
