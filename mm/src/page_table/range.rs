//! Changing whole ranges of a page table: taking everything out, or giving everything other rights.
//!
//! What needs memory comes first: the tables are prepared ([`super::private`]). Then the caller, by a function, changes
//! what goes with the table, unless that fails. What follows cannot. A table that lies in the range as a whole is taken
//! out as a whole, whether it is shared or not.

use core::ops::RangeInclusive;

use geometry::{ENTRIES, Geometry, X86};

use crate::addr::VirtAddr;
use crate::error::NoMemory;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::PageTable;
use crate::page_table::empty_tables::Emptied;
use crate::page_table::leaf::Leaf;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::VmIterMut;

impl PageTable {
    /// Unmaps everything in `[start, end)`, after `commit`. What was mapped is `batch`'s.
    ///
    /// # Errors
    /// `NoMemory`, and those of `commit`. Nothing that can be seen has changed then.
    #[inline(always)]
    pub(crate) fn unmap_range<E: From<NoMemory>>(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
        commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        debug_assert!(
            batch.space() == self.space(),
            "the batch is another space's"
        );
        let mut iter = VmIterMut::new_mut(self, start);
        // Nearly always: a few pages of one table, which stays where it is.
        let is_in_one_table = iter.is_private_until(end);
        if !is_in_one_table {
            self.prepare_boundaries(start, end, batch)?;
            iter = VmIterMut::new_mut(self, start);
        }
        commit()?;
        if is_in_one_table {
            if let Some(table) = iter.unmap_rest_of_table(end, batch) {
                self.emptied.note(table);
            }
        } else {
            let range = start.as_u64()..=end.as_u64() - 1;
            let mut emptied = self.emptied;
            let geometry = self.geometry();
            unmap_in(
                self.root(),
                geometry,
                geometry.levels(),
                range,
                batch,
                &mut emptied,
            );
            self.emptied = emptied;
        }
        if self.emptied.are_many() {
            self.drop_empty_tables(batch);
        }
        Ok(())
    }

    /// Gives each leaf in `[start, end)` the rights that `perm_of` says, after `commit`. Tables whose leaves fit
    /// together then become big leaves.
    ///
    /// # Errors
    /// `NoMemory`, and those of `commit`. Nothing that can be seen has changed then.
    #[inline]
    pub(crate) fn protect_range<E: From<NoMemory>>(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
        perm_of: impl Fn(&Leaf<'_>) -> Perm,
        commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut iter = VmIterMut::new_mut(self, start);
        // Nearly always, as above.
        let is_in_one_table = iter.is_private_until(end);
        if !is_in_one_table {
            self.prepare_pages(start, end, batch)?;
            iter = VmIterMut::new_mut(self, start);
        }
        commit()?;
        if is_in_one_table {
            iter.protect_rest_of_table(end, batch, &perm_of);
            if iter.is_not_full() {
                return Ok(());
            }
        } else {
            while iter.find_mapping(end) {
                iter.protect_rest_of_table(end, batch, &perm_of);
                iter.next_small_table();
            }
        }
        self.merge_range(start, end, batch);
        Ok(())
    }

    /// Makes big leaves of the tables that serve `[start, end)`, where they consist of leaves that fit together.
    fn merge_range(&mut self, start: VirtAddr, end: VirtAddr, batch: &mut FlushBatch<'_>) {
        let mut iter = VmIterMut::new_mut(self, start);
        while iter.find_mapping(end) {
            while iter.try_merge(batch) {}
            iter.next_small_table();
        }
    }
}

/// Unmaps what `table`, of `level`, maps in `range`, all of which it serves. Notes in `emptied` which tables that has
/// left empty.
fn unmap_in(
    table: Table<'_>,
    geometry: X86,
    level: u32,
    range: RangeInclusive<u64>,
    batch: &mut FlushBatch<'_>,
    emptied: &mut Emptied,
) {
    let span = geometry.span(level);
    let base = range.start() & !(span * ENTRIES as u64 - 1);
    let used = table.usage().range();
    let first = geometry.index(*range.start(), level).max(used.start);
    let end = (geometry.index(*range.end(), level) + 1).min(used.end);
    let mut removed = 0;
    for index in first..end {
        let slot = table.slot(index);
        let entry = slot.load();
        if entry == Entry::EMPTY {
            continue;
        }
        let start = geometry.canonical(base | (index as u64) << geometry.shift(level));
        let last = start | (span - 1);
        let is_covered = range.contains(&start) && range.contains(&last);
        match table.child(entry, level) {
            Some(child) if !is_covered => {
                assert!(
                    entry.perm().contains(Perm::WRITE),
                    "PT-4: a part of a shared table is unmapped"
                );
                let inside = start.max(*range.start())..=last.min(*range.end());
                unmap_in(child, geometry, level - 1, inside, batch, emptied);
            }
            Some(_) => {
                let _ = slot.take();
                removed += 1;
                batch.record_everything();
                // SAFETY: the entry owned a reference of the table (PT-1), and `take` gave the entry to nobody else.
                batch.release_table(unsafe { Frame::from_raw(entry.pa()) });
            }
            None => {
                debug_assert!(is_covered, "a big leaf reaches over the end of the range");
                removed += 1;
                let leaf = Leaf {
                    va: VirtAddr::new(start),
                    slot,
                    level,
                    entry,
                    denied: 0,
                };
                leaf.unmap(batch);
            }
        }
    }
    if removed > 0 && Usage::remove_several(table.usage_word(), removed) {
        emptied.note(table.pa());
    }
}
