//! What `exit` does with page tables: dropping references, and with the last one of a table everything below it.

use crate::flush::FlushBatch;
use crate::frame::{BigFrame, Frame};
use crate::page_table::PageTable;
use crate::page_table::big_leaf::order_of;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;

/// Frees all that `table` maps for the user, and all its page-table pages except the root. It needs no memory and
/// cannot fail. What other address spaces share of it stays theirs.
///
/// All of it is in the pool again when `batch` is complete.
pub fn free_everything(table: &mut PageTable, batch: &mut FlushBatch<'_>) {
    let root = table.root();
    // The kernel's entries do not count as used. A root is in no other table and has no leaves.
    for (index, entry) in root.used_entries() {
        if entry.is_present() {
            let _ = root.slot(index).take();
            Usage::remove(root.usage_word());
            batch.record_everything();
            // SAFETY: the entry owned a reference of the table (PT-1), and was taken out once: `table` is ours alone.
            batch.release_table(unsafe { Frame::from_raw(entry.pa()) });
        }
    }
}

/// Gives up a reference to a page-table page that the walkers of its space can no longer reach. If it is the last, what
/// the table maps goes too, and so do the references of the tables below it.
///
/// Each space that shared the table had seen to it that none of its CPUs can reach it before it gave up its reference
/// (TLB-1), so whoever gives up the last one may free at once.
pub(crate) fn drop_table(table: Frame) {
    let Some(page) = table.release_unless_last() else {
        return;
    };
    // SAFETY: `page` is a page-table page, of which nobody else has a reference any more; it is freed below.
    let table = unsafe { Table::new(page.pa()) };
    let level = table.usage().level();
    for (index, entry) in table.used_entries() {
        table.slot(index).clear_alone();
        drop_entry(entry, level);
    }
    // SAFETY: all entries that were in use have been cleared.
    unsafe { page.drop_zeroed() };
}

#[inline]
fn drop_entry(entry: Entry, level: u32) {
    if entry.is_table(level) {
        // SAFETY: the entry owned a reference of the table (PT-1) and has been taken out of a table that nobody shares.
        drop_table(unsafe { Frame::from_raw(entry.pa()) });
    } else if entry.perm().contains(Perm::BORROWED) {
        // It owned nothing.
    } else if level == 1 {
        // SAFETY: likewise, of the frame that it mapped (PT-2).
        drop(unsafe { Frame::from_raw(entry.pa()) });
    } else {
        // SAFETY: likewise, of the big frame.
        drop(unsafe { BigFrame::from_raw(entry.pa(), order_of(level)) });
    }
}
