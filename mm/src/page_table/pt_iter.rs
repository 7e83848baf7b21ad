//! `PtIter`: goes through the page-table pages of a table.
//!
//! ```text
//! let mut page = PtIter::new(&table);
//! while page.active() {
//!     println!("level {} at {:#x} serves {:#x}..={:#x}", page.level(), page.pa(), page.va(), page.last_va());
//!     page.next();
//! }
//! ```
//!
//! The order is depth first, by address, each page after the ones below it: level 1 before the level 2 that names it.
//! So a loop may free each page that it comes to. The root is never visited, nor are the kernel's pages in a user's
//! table.

use core::marker::PhantomData;

use geometry::Geometry;

use crate::addr::{PhysAddr, VirtAddr};
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::hw;
use crate::page_table::PageTable;
use crate::page_table::perm::Perm;
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::{Exclusive, Shared};

/// The most levels that there can be.
const MAX_LEVELS: usize = 5;

/// A position among the page-table pages of a table. See the module's page.
pub struct PtIter<'t, A = Shared> {
    table: &'t PageTable,
    /// The tables on the way to this position, by level less one; those below `level` mean nothing.
    path: [Table<'t>; MAX_LEVELS],
    /// The level of the page-table page at this position; that of the root when there is none left.
    level: u32,
    /// The first address that it serves.
    va: u64,
    access: PhantomData<A>,
}

/// A [`PtIter`] that has the page table to itself and can take pages out of it.
pub type PtIterMut<'t> = PtIter<'t, Exclusive>;

impl<'t> PtIter<'t> {
    /// An iterator that stands on the first page-table page of `table`, if there is one.
    pub fn new(table: &'t PageTable) -> PtIter<'t> {
        PtIter::at_first(table)
    }
}

impl<'t, A> PtIter<'t, A> {
    fn at_first(table: &'t PageTable) -> Self {
        let level = table.geometry().levels();
        let mut iter = PtIter {
            table,
            path: [table.root(); MAX_LEVELS],
            level,
            va: 0,
            access: PhantomData,
        };
        iter.go_to_next_in(level, 0);
        iter
    }

    /// Whether this position is a page-table page; if not, there are no more.
    #[inline]
    pub fn active(&self) -> bool {
        self.level < self.table.geometry().levels()
    }

    /// The level of the page-table page: 1 if its entries map pages of 4 KiB.
    #[inline]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The first virtual address that the page-table page serves.
    #[inline]
    pub fn va(&self) -> VirtAddr {
        VirtAddr::new(self.va)
    }

    /// The last virtual address that the page-table page serves.
    #[inline]
    pub fn last_va(&self) -> VirtAddr {
        VirtAddr::new(self.va | (self.table.geometry().span(self.level + 1) - 1))
    }

    /// The physical address of the page-table page.
    #[inline]
    pub fn pa(&self) -> PhysAddr {
        self.current().pa()
    }

    /// Where the kernel reaches the page-table page.
    #[inline]
    pub fn kptr(&self) -> *mut u8 {
        hw::phys_to_ptr(self.pa())
    }

    /// How many of its entries are in use.
    #[inline]
    pub fn used_entries(&self) -> usize {
        self.current().usage().count()
    }

    /// Goes to the next page-table page.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "a position, not a sequence: the name is the courses'"
    )]
    pub fn next(&mut self) -> &mut Self {
        if self.active() {
            let parent_level = self.level + 1;
            self.go_to_next_in(parent_level, self.index_in_parent() + 1);
        }
        self
    }

    #[inline]
    fn current(&self) -> Table<'t> {
        self.table_of(self.level)
    }

    #[inline]
    fn table_of(&self, level: u32) -> Table<'t> {
        self.path[level as usize - 1]
    }

    #[inline]
    fn index_in_parent(&self) -> usize {
        self.table.geometry().index(self.va, self.level + 1)
    }

    /// Goes to the first page-table page below the table of `level` on the path, from its entry `first` on: as far down
    /// as it goes. If there is none, goes to that table itself.
    fn go_to_next_in(&mut self, mut level: u32, mut first: usize) {
        let geometry = self.table.geometry();
        // Level 1 names no tables.
        while level > 1 {
            let container = self.table_of(level);
            let used = container.usage().range();
            let mut candidates = first.max(used.start)..used.end;
            let child_at =
                |index| Some((index, container.child(container.slot(index).load(), level)?));
            let Some((index, child)) = candidates.find_map(child_at) else {
                break;
            };
            let inside_mask = geometry.span(level + 1) - 1;
            self.va = geometry
                .canonical(self.va & !inside_mask | (index as u64) << geometry.shift(level));
            level -= 1;
            self.path[level as usize - 1] = child;
            first = 0;
        }
        self.level = level;
        self.va &= !(geometry.span(level + 1) - 1);
    }
}

impl<'t> PtIterMut<'t> {
    /// An iterator that stands on the first page-table page of `table`, if there is one.
    pub fn new_mut(table: &'t mut PageTable) -> PtIterMut<'t> {
        PtIter::at_first(table)
    }

    /// Takes the page-table page at this position out of the table and gives it to `batch`, if none of its entries is
    /// in use. The position stays valid to go on from.
    pub fn remove_if_empty(&mut self, batch: &mut FlushBatch<'_>) {
        if !self.active() || self.used_entries() != 0 {
            return;
        }
        debug_assert!(
            batch.space() == self.table.space(),
            "the batch is another space's"
        );
        let parent = self.table_of(self.level + 1);
        let mut on_the_way = self.level + 1..self.table.geometry().levels();
        assert!(
            on_the_way.all(|level| {
                let entry = self
                    .table_of(level + 1)
                    .slot(self.table.geometry().index(self.va, level + 1))
                    .load();
                entry.perm().contains(Perm::WRITE)
            }),
            "PT-4: a page is taken out of a shared table"
        );
        let old = parent.slot(self.index_in_parent()).take();
        Usage::remove(parent.usage_word());
        // SAFETY: the entry owned a reference of the table (PT-1), and `take` gave the entry to nobody else.
        batch.release_table(unsafe { Frame::from_raw(old.pa()) });
    }
}
