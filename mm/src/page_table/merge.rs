//! Merging: the leaves that a table consists of become one leaf of the next level.

use core::mem::ManuallyDrop;

use geometry::{ENTRIES, Geometry};

use crate::addr::{PhysAddr, VirtAddr};
use crate::flush::FlushBatch;
use crate::frame::{BigFrame, Frame};
use crate::page_table::big_leaf::{highest_leaf_level, huge_at, order_of};
use crate::page_table::leaf::record;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::VmIterMut;

impl VmIterMut<'_> {
    /// Replaces the table that serves this position by one leaf of the next level, if its entries are leaves of
    /// consecutive, aligned memory with equal rights, and either no reference to any of that memory is elsewhere, or
    /// they own none. Returns whether it did; then the position is that leaf's, which may be merged again.
    ///
    /// It needs no memory. Old and new translations mean the same; but until `batch` is complete, CPUs may have both.
    pub fn try_merge(&mut self, batch: &mut FlushBatch<'_>) -> bool {
        debug_assert!(
            batch.space() == self.table.space(),
            "the batch is another space's"
        );
        let (table, level) = (self.container.table, self.level);
        // A table that is shared, or lies below one, is named by an entry that denies something.
        if level >= highest_leaf_level() || self.container.denied != 0 {
            return false;
        }
        let Some(merged) = self.merged_leaf() else {
            return false;
        };
        if !merged.perm().contains(Perm::BORROWED) {
            let order = order_of(level + 1);
            // SAFETY: the entries own a reference of each part of the range (PT-2), and keep it until they are emptied
            // below; as `big` is not dropped, it is not taken back at all: the new leaf owns it then.
            let mut big = ManuallyDrop::new(unsafe { BigFrame::from_raw(merged.pa(), order) });
            if !big.try_unite() {
                return false;
            }
        }
        // At each moment the processor finds what is mapped, in the leaf or in the table.
        self.enter_parent();
        let old = self.slot.update(|_| merged);
        let marks = self.empty(table, level, batch);
        self.slot
            .update(|entry| Entry::new(entry.pa(), entry.perm() | marks));
        // SAFETY: the entry owned a reference of the table (PT-1), and names it no longer.
        batch.release_table(unsafe { Frame::from_raw(old.pa()) });
        true
    }

    /// Whether the table that serves this position has holes, so that nothing can be merged.
    #[inline]
    pub(super) fn is_not_full(&self) -> bool {
        self.container.table.usage().count() != ENTRIES
    }

    /// The leaf that could replace the table of this position, if its entries fit together.
    fn merged_leaf(&self) -> Option<Entry> {
        let (table, level) = (self.container.table, self.level);
        let first = table.slot(0).load();
        let part_bytes = self.table.geometry().span(level);
        let is_aligned = first.pa().as_u64() & (part_bytes * ENTRIES as u64 - 1) == 0;
        if table.usage().count() != ENTRIES || !first.is_leaf(level) || !is_aligned {
            return None;
        }
        let expected = |index: usize| {
            let pa = PhysAddr::new(first.pa().as_u64() + index as u64 * part_bytes);
            Entry::new(pa, without_marks(first))
        };
        let fits = |index: usize| {
            let entry = table.slot(index).load();
            Entry::new(entry.pa(), without_marks(entry)) == expected(index)
        };
        (0..ENTRIES)
            .all(fits)
            .then(|| Entry::new(first.pa(), without_marks(first) | huge_at(level + 1)))
    }

    /// Empties the table `table` of leaves of `level`, which serves this position; returns what the processor had
    /// marked.
    fn empty(&self, table: Table<'_>, level: u32, batch: &mut FlushBatch<'_>) -> Perm {
        let start = self.va & !(self.table.geometry().span(level + 1) - 1);
        let mut marks = Perm::empty();
        for index in 0..ENTRIES {
            let old = table.slot(index).take();
            marks |= old.perm().intersection(Perm::BY_PROCESSOR);
            let inside = (index as u64) << self.table.geometry().shift(level);
            record(VirtAddr::new(start | inside), old, batch);
        }
        Usage::remove_several(table.usage_word(), ENTRIES);
        marks
    }
}

fn without_marks(entry: Entry) -> Perm {
    entry.perm().difference(Perm::BY_PROCESSOR)
}
