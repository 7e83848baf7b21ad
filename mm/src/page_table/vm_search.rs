//! Going from mapping to mapping, past what is not mapped.
//!
//! It is a depth-first search: along the entries of a table, down into a table that an entry names, and up again behind
//! the last. Tables know between which of their entries all lie that are in use, so that the search looks at no others.

use geometry::Geometry;

use crate::addr::{USER_END, VirtAddr};
use crate::page_table::perm::Entry;
use crate::page_table::vm_iter::{Access, VmIter};

impl<A: Access> VmIter<'_, A> {
    /// Stays if something is mapped here; otherwise goes on to the next mapping. Returns false, and stands at `end` (or
    /// the end of user space, whichever is first), if there is none before `end`.
    #[inline(always)]
    pub fn find_mapping(&mut self, end: VirtAddr) -> bool {
        let end = end.min(USER_END);
        let is_here = self.va < end.as_u64() && self.present();
        is_here || (self.va != end.as_u64() && self.search_mapping(end))
    }

    /// As [`VmIter::find_mapping`], from a hole or from behind `end`.
    fn search_mapping(&mut self, end: VirtAddr) -> bool {
        if self.va < end.as_u64() && self.level > self.table.geometry().levels() {
            // From nowhere, which is one hole.
            self.next();
        }
        if self.va < end.as_u64() && self.search() && self.va < end.as_u64() {
            return true;
        }
        self.find(end);
        false
    }

    /// Goes from an entry to the first leaf at or behind it. Returns false if there is none; the position means nothing
    /// then.
    fn search(&mut self) -> bool {
        let geometry = self.table.geometry();
        let mut index = self.slot.index();
        loop {
            let table = self.container.table;
            let used = table.usage().range();
            let found = (index.max(used.start)..used.end)
                .map(|index| (index, table.slot(index).load()))
                .find(|(_, entry)| *entry != Entry::EMPTY);
            if let Some((found, entry)) = found {
                if found != self.slot.index() {
                    self.go_along(found);
                }
                let Some(child) = table.child(entry, self.level) else {
                    return true;
                };
                index = geometry.index(self.va, self.level - 1);
                self.enter_child(child, index);
            } else if self.level < geometry.levels() {
                self.enter_parent();
                index = self.slot.index() + 1;
            } else {
                return false;
            }
        }
    }

    /// Goes to the entry `index` of the same table, to the first address that it covers.
    #[inline]
    pub(super) fn go_along(&mut self, index: usize) {
        let geometry = self.table.geometry();
        let table_mask = geometry.span(self.level + 1) - 1;
        let inside = (index as u64) << geometry.shift(self.level);
        self.va = geometry.canonical(self.va & !table_mask | inside);
        self.slot = self.container.table.slot(index);
    }
}
