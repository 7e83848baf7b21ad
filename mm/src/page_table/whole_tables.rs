//! Whole tables of level 1 at a time, for `fork`, `unmap` and `protect`.
//!
//! The mappings of a table lie side by side, and so do their copies in another page table. Going along the entries,
//! without asking for each page whether the table is still the same, and counting once at the end what has changed,
//! takes a third of the instructions that going from page to page takes.

use geometry::ENTRIES;

use crate::addr::{PAGE_SHIFT, PhysAddr, VirtAddr};
use crate::error::MapError;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::leaf::Leaf;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::{Container, VmIterMut};

/// The bits of an address that say where in the range of a table of level 1 it lies.
const INSIDE_TABLE: u64 = ((ENTRIES as u64) << PAGE_SHIFT) - 1;

impl<'t> VmIterMut<'t> {
    /// The pages that the table of level 1 of this position maps from here on, before `end`, which is behind this
    /// position. If it stands on an entry of a higher level, there are none.
    #[inline(always)]
    pub(super) fn rest_of_table(&self, end: VirtAddr) -> impl Iterator<Item = Leaf<'t>> + use<'t> {
        let Container { table, denied } = self.container;
        let start = self.va & !INSIDE_TABLE;
        let mut indices = 0..0;
        if self.level == 1 {
            let last = (end.as_u64().wrapping_sub(1) - start) >> PAGE_SHIFT;
            let behind = table.usage().range().end;
            indices = self.slot.index()..behind.min(last as usize + 1);
        }
        indices.filter_map(move |index| {
            let slot = table.slot(index);
            let entry = slot.load();
            entry.is_present().then(|| Leaf {
                va: VirtAddr::new(start | (index as u64) << PAGE_SHIFT),
                slot,
                level: 1,
                entry,
                denied,
            })
        })
    }

    /// Unmaps what the table of level 1 of this position maps from here on, before `end`. What was mapped is `batch`'s.
    /// Returns where the table is, if it is empty now and was not before.
    #[inline(always)]
    pub fn unmap_rest_of_table(
        &mut self,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
    ) -> Option<PhysAddr> {
        self.assert_private();
        let mut removed = 0;
        for page in self.rest_of_table(end) {
            page.unmap(batch);
            removed += 1;
        }
        let table = self.container.table;
        let is_emptied = Usage::remove_several(table.usage_word(), removed) && removed > 0;
        is_emptied.then(|| table.pa())
    }

    /// Gives the leaf at this position the rights that `perm_of` says, and all behind it in its table before `end` if
    /// that is of level 1.
    #[inline]
    pub(super) fn protect_rest_of_table(
        &mut self,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
        perm_of: &impl Fn(&Leaf<'_>) -> Perm,
    ) {
        self.assert_private();
        if self.level > 1
            && let Some(leaf) = self.leaf()
        {
            leaf.protect(perm_of(&leaf), batch);
        }
        for leaf in self.rest_of_table(end) {
            leaf.protect(perm_of(&leaf), batch);
        }
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
