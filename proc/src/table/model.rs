//! For loom models: a small table, made afresh for each execution.

use super::Table;

/// More than any model has entries at once.
pub(crate) const CAPACITY: usize = 8;

loom::lazy_static! {
    static ref TABLE: Table = new_table();
}

pub(super) fn table() -> Option<&'static Table> {
    Some(&TABLE)
}

fn new_table() -> Table {
    let table = Table::with_capacity(CAPACITY).expect("memory for a table");
    // Loom wants its atomics made before they are shared.
    table.slots.iter().for_each(|slot| drop(slot.lock()));
    table
}
