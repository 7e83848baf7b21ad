//! Whole tables of level 1 at a time, for `fork` and `exit`.
//!
//! The mappings of a table lie side by side, and so do their copies in another page table. Going along the entries,
//! without asking for each page whether the table is still the same, and counting once at the end what has changed,
//! takes a third of the instructions that going from page to page takes.

use core::ops::Deref;

use geometry::{ENTRIES, Geometry};

use crate::addr::{PAGE_SHIFT, VirtAddr};
use crate::error::MapError;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::{Slot, Table};
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::{Container, VmIterMut};
use crate::page_table::vm_iter_mut::{protect, record, release_leaf};

/// The bits of an address that say where in the range of a table of level 1 it lies.
const INSIDE_TABLE: u64 = ((ENTRIES as u64) << PAGE_SHIFT) - 1;

/// A page that is mapped by a table of level 1, which its user has to himself.
pub(super) struct Page<'t> {
    va: VirtAddr,
    slot: Slot<'t>,
    entry: Entry,
    perm: Perm,
}

impl<'t> VmIterMut<'t> {
    /// The pages that are mapped from this position, which is before `end`, on, before `end` and in the same table of
    /// level 1. The iterator goes on behind all of them at once. If it stands on an entry of a higher level, there are
    /// none.
    #[inline(always)]
    pub(super) fn rest_of_table(
        &mut self,
        end: VirtAddr,
    ) -> impl Iterator<Item = Page<'t>> + use<'t> {
        let Container { table, denied } = self.container;
        let start = self.va & !INSIDE_TABLE;
        let mut indices = 0..0;
        if self.level == 1 {
            let last = end.as_u64().wrapping_sub(1);
            let is_cut = (start ^ last) & !INSIDE_TABLE == 0;
            let behind = if is_cut {
                self.table.geometry().index(last, 1) + 1
            } else {
                ENTRIES
            };
            let first = self.slot.index();
            indices = first..table.usage().range().end.min(behind).max(first + 1);
            self.go_along(indices.end - 1);
        }
        self.next();
        indices.filter_map(move |index| {
            let slot = table.slot(index);
            let entry = slot.load();
            entry.is_present().then(|| Page {
                va: VirtAddr::new(start | (index as u64) << PAGE_SHIFT),
                slot,
                entry,
                perm: entry.perm().less(denied),
            })
        })
    }

    /// Unmaps the leaf at this position and everything behind it in its table of level 1, before `end`, and goes on
    /// behind that. What was mapped is `batch`'s.
    pub fn unmap_rest_of_table(&mut self, end: VirtAddr, batch: &mut FlushBatch<'_>) {
        if self.level > 1 {
            self.unmap(batch);
            self.next();
            return;
        }
        self.assert_private();
        let usage_word = self.container.table.usage_word();
        let mut removed = 0;
        for page in self.rest_of_table(end) {
            let old = page.slot.take();
            removed += 1;
            record(page.va, old, batch);
            release_leaf(old, 1, batch);
        }
        Usage::remove_several(usage_word, removed);
    }

    /// The table of level 1 of this position, to be filled from here on; it is added if it is missing.
    ///
    /// # Errors
    /// As for `descend_to`.
    pub(super) fn table_to_fill(&mut self) -> Result<TableToFill<'t>, MapError> {
        self.descend_to(1)?;
        Ok(TableToFill {
            table: self.container.table,
            filled: 0,
            lowest: self.slot.index(),
            highest: self.slot.index(),
        })
    }
}

impl Page<'_> {
    /// Its address.
    #[inline]
    pub(super) fn va(&self) -> VirtAddr {
        self.va
    }

    /// Its permissions, less what the levels above forbid.
    #[inline]
    pub(super) fn perm(&self) -> Perm {
        self.perm
    }

    /// The frame, whose reference stays the mapping's; `None` if the mapping owns none.
    #[inline]
    pub(super) fn frame(&self) -> Option<impl Deref<Target = Frame> + '_> {
        let owns = !self.entry.perm().contains(Perm::BORROWED);
        // SAFETY: the entry owns a reference (PT-2), and nobody takes it back while this is borrowed: the page table is
        // this user's alone, and `unmap_rest_of_table` keeps its pages to itself.
        owns.then(|| unsafe { Frame::borrow_raw(self.entry.pa()) })
    }

    /// As [`VmIterMut::protect`].
    #[inline]
    pub(super) fn protect(&self, perm: Perm, batch: &mut FlushBatch<'_>) {
        protect(self.slot, self.va, perm, batch);
    }
}

/// A table of level 1 that somebody who has it to himself fills, in order of address. Counts what he has filled when it
/// is dropped.
pub(super) struct TableToFill<'t> {
    table: Table<'t>,
    filled: usize,
    lowest: usize,
    highest: usize,
}

impl TableToFill<'_> {
    /// Maps `frame` at `va`, which this table serves and which is behind what has been filled, with `perm`; the mapping
    /// owns this reference of the frame.
    ///
    /// # Errors
    /// `AlreadyMapped` if something is mapped there. Then nothing has changed, and this reference is given
    /// back.
    #[inline]
    pub(super) fn try_fill(
        &mut self,
        va: VirtAddr,
        frame: Frame,
        perm: Perm,
    ) -> Result<(), MapError> {
        // The slot of a table takes the index modulo the table's size.
        let slot = self.table.slot((va.as_u64() >> PAGE_SHIFT) as usize);
        debug_assert!(slot.index() >= self.highest);
        if slot.load() != Entry::EMPTY {
            return Err(MapError::AlreadyMapped);
        }
        // The entry owns the reference from now on (PT-2).
        slot.set(Entry::new(frame.into_raw(), perm.for_leaf()));
        self.filled += 1;
        self.highest = slot.index();
        Ok(())
    }
}

impl Drop for TableToFill<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.filled > 0 {
            let word = self.table.usage_word();
            Usage::add_several(word, self.lowest, self.highest, self.filled);
        }
    }
}
