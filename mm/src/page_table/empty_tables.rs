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
use crate::page_table::perm::Perm;
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;

/// How many empty tables a page table keeps, about: those that one operation leaves come to it.
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
    pub(super) fn free_empty_tables(&mut self, batch: &mut FlushBatch<'_>) {
        self.emptied = Emptied::NONE;
        take_empty_tables(self.root(), self.geometry().levels(), batch);
    }
}

/// Takes the empty tables out that `table`, of `level`, leads to.
fn take_empty_tables(table: Table<'_>, level: u32, batch: &mut FlushBatch<'_>) {
    for (index, entry) in table.used_entries() {
        // PT-4: what is below a shared table stays as it is.
        let is_private = entry.perm().contains(Perm::WRITE);
        let Some(child) = table.child(entry, level).filter(|_| is_private) else {
            continue;
        };
        if level > 2 {
            take_empty_tables(child, level - 1, batch);
        }
        if child.usage().count() == 0 {
            let _ = table.slot(index).take();
            Usage::remove(table.usage_word());
            batch.record_everything();
            // SAFETY: the entry owned a reference of the table (PT-1), and was taken out once: the page table is ours
            // alone.
            batch.release_table(unsafe { Frame::from_raw(entry.pa()) });
        }
    }
}
