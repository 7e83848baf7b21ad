//! What `exit` does with page tables.

use crate::addr::USER_END;
use crate::flush::FlushBatch;
use crate::page_table::PageTable;
use crate::page_table::pt_iter::PtIterMut;
use crate::page_table::vm_iter::VmIterMut;

/// Frees all that `table` maps for the user, and all its page-table pages except the root. It needs no memory and
/// cannot fail.
///
/// All of it is in the pool again when `batch` is complete.
pub fn free_everything(table: &mut PageTable, batch: &mut FlushBatch<'_>) {
    let start = table.start();
    let mut page = VmIterMut::new_mut(table, start);
    while page.find_mapping(USER_END) {
        page.unmap_rest_of_table(USER_END, batch);
    }
    let mut table_page = PtIterMut::new_mut(table);
    while table_page.active() {
        table_page.remove_if_empty(batch);
        table_page.next();
    }
}
