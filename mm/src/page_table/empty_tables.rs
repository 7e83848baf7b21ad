//! Giving back page-table pages that have become empty.
//!
//! A table whose last page is unmapped stays where it is, since the next page that is mapped is likely to want it. So
//! that a program which maps and unmaps all over its address space does not collect them, a page table counts how often
//! a table has become empty; when there may be [`MOST`], those that are empty still are taken out.

use geometry::Geometry;

use crate::addr::PhysAddr;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::PageTable;
use crate::page_table::private::is_own_child;
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;

/// How many empty tables a page table keeps, about: those that one operation leaves come to it, and those that it shares
/// with a fork, until the fork has gone.
const MOST: u32 = 64;

/// How often tables have become empty since the last time that all were taken out.
#[derive(Copy, Clone)]
pub(super) struct Emptied {
    times: u32,
    /// Which has last. Filled and emptied again and again, it is one table still.
    last: PhysAddr,
}

impl Emptied {
    pub(super) const NONE: Emptied = Emptied {
        times: 0,
        last: PhysAddr::new(0),
    };

    /// The table at `table` has become empty.
    #[inline]
    pub(super) fn note(&mut self, table: PhysAddr) {
        if self.last != table {
            self.last = table;
            self.times += 1;
        }
    }

    #[inline]
    pub(super) fn are_many(self) -> bool {
        self.times >= MOST
    }
}

impl PageTable {
    /// Takes all tables out that are empty and this page table's alone.
    #[cold]
    pub(super) fn drop_empty_tables(&mut self, batch: &mut FlushBatch<'_>) {
        self.emptied = Emptied::NONE;
        let (root, levels) = (self.root(), self.geometry().levels());
        for (index, _) in root.used_entries() {
            drop_empty_child(root, index, levels, batch);
        }
    }
}

/// Takes the page-table page that the entry `index` of `table`, which is private and of `level`, names out of it, if
/// nothing is mapped below; or else the empty ones below. They are `batch`'s.
pub(super) fn drop_empty_child(
    table: Table<'_>,
    index: usize,
    level: u32,
    batch: &mut FlushBatch<'_>,
) {
    let slot = table.slot(index);
    let entry = slot.load();
    let Some(child) = table.child(entry, level) else {
        return;
    };
    // PT-4: what is below a shared table stays as it is.
    if !is_own_child(slot, entry) {
        return;
    }
    if level > 2 {
        for (index, _) in child.used_entries() {
            drop_empty_child(child, index, level - 1, batch);
        }
    }
    if child.usage().count() == 0 {
        let old = slot.take();
        Usage::remove(table.usage_word());
        // SAFETY: the entry owned a reference of the table (PT-1), and `take` gave the entry to nobody else.
        batch.release_table(unsafe { Frame::from_raw(old.pa()) });
    }
}
