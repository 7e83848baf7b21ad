//! Making page-table pages a space's own again before something in them changes.
//!
//! An entry without `WRITE` leads to a table that is, or was, shared (PT-4). If the others have gone, the entry gets
//! the right back: an upgrade, which needs no flush. Otherwise a copy takes the table's place ([`super::share`]), and
//! the reference to the old one goes into the batch, since the page walkers of this space may be reading it. Nothing
//! that can be seen changes either way, so that an error on the way does no harm.

use geometry::{Geometry, X86};

use crate::addr::VirtAddr;
use crate::error::NoMemory;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::PageTable;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::share::copy_table;
use crate::page_table::table::{Slot, Table};
use crate::page_table::vm_iter::{Access, VmIter, VmIterMut};

impl<A: Access> VmIter<'_, A> {
    /// Whether a table on the way to this position is marked as shared.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.container.denied & Perm::WRITE.bits() != 0
    }
}

impl VmIterMut<'_> {
    /// Whether the table of this position is of level 1 and has all pages from here to `end`.
    #[inline]
    pub(super) fn serves_until(&self, end: VirtAddr) -> bool {
        let last = end.as_u64().wrapping_sub(1);
        self.level == 1 && (self.va ^ last) >> self.table.geometry().shift(2) == 0
    }

    /// Whether a private table of level 1 has all pages from here to `end`: then there is nothing to be prepared, and
    /// all of them can be changed without leaving the table.
    #[inline]
    pub(super) fn is_private_until(&self, end: VirtAddr) -> bool {
        self.serves_until(end) && !self.is_shared()
    }

    /// Makes the tables on the way to this position the space's own.
    ///
    /// # Errors
    /// `NoMemory`; some of them are then.
    pub fn make_private(&mut self, batch: &mut FlushBatch<'_>) -> Result<(), NoMemory> {
        if self.is_shared() {
            let (table, geometry) = (self.table, self.table.geometry());
            make_path_private(table, geometry, self.va, 1, batch)?;
            self.walk_to(self.va);
        }
        Ok(())
    }
}

impl PageTable {
    /// Makes every table private of which `[start, end)` covers a part only, and splits big leaves likewise: the
    /// entries that the range covers can then be changed, or taken out whole.
    ///
    /// # Errors
    /// `NoMemory`. Nothing that can be seen has changed then.
    pub(super) fn prepare_boundaries(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        self.prepare_boundary(start, batch)?;
        self.prepare_boundary(end, batch)
    }

    /// Makes all tables private that serve `[start, end)`, and splits big leaves that reach over its ends: the pages in
    /// it can then be changed one by one.
    ///
    /// # Errors
    /// `NoMemory`. Nothing that can be seen has changed then.
    pub(crate) fn prepare_pages(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        if VmIterMut::new_mut(self, start).is_private_until(end) {
            return Ok(());
        }
        self.prepare_boundaries(start, end, batch)?;
        self.make_range_private(start, end, batch)
    }

    /// Makes the tables private that have entries on both sides of `boundary`, and splits the big leaves.
    fn prepare_boundary(
        &mut self,
        boundary: VirtAddr,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        let (geometry, va) = (self.geometry(), boundary.as_u64());
        let is_inside = |level| va & (geometry.span(level) - 1) != 0;
        // An entry that ends at the boundary has all its table on one side.
        let lowest_level = (2..=geometry.levels()).find(|level| is_inside(*level));
        let lowest_level = lowest_level.map_or(geometry.levels(), |level| level - 1);
        make_path_private(self, geometry, va, lowest_level, batch)?;
        let mut iter = VmIterMut::new_mut(self, boundary);
        while iter.present() && is_inside(iter.level()) {
            iter.split(batch)?;
        }
        Ok(())
    }

    /// Makes all tables private that serve addresses in `[start, end)`.
    ///
    /// # Errors
    /// `NoMemory`. Nothing that can be seen has changed then.
    pub(crate) fn make_range_private(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), NoMemory> {
        let mut iter = VmIterMut::new_mut(self, start);
        while iter.find_mapping(end) {
            iter.make_private(batch)?;
            iter.next_small_table();
        }
        Ok(())
    }
}

/// Makes the tables on the way to `va` private, from the root down to that of `lowest_level`, as far as there are any.
fn make_path_private(
    table: &PageTable,
    geometry: X86,
    va: u64,
    lowest_level: u32,
    batch: &mut FlushBatch<'_>,
) -> Result<(), NoMemory> {
    let mut container = table.root();
    for level in (lowest_level + 1..=geometry.levels()).rev() {
        let slot = container.slot(geometry.index(va, level));
        let entry = slot.load();
        if !entry.is_table(level) {
            break;
        }
        if !entry.perm().contains(Perm::WRITE) {
            own_child(slot, entry, level, geometry, batch)?;
        }
        match container.child(slot.load(), level) {
            Some(child) => container = child,
            None => break,
        }
    }
    Ok(())
}

/// Whether the table that `entry`, in `slot` of a private table, names is nobody else's. Then the entry has the right to
/// write again, if it had lost that.
pub(super) fn is_own_child(slot: Slot<'_>, entry: Entry) -> bool {
    if entry.perm().contains(Perm::WRITE) {
        return true;
    }
    // SAFETY: the entry owns a reference of the table (PT-1), and keeps it: the page table is this user's alone.
    let is_alone = unsafe { Frame::borrow_raw(entry.pa()) }.is_sole_owner();
    if is_alone {
        slot.update(|entry| Entry::new(entry.pa(), Perm::TABLE));
    }
    is_alone
}

/// Makes the table that `entry`, in `slot` of a private table of `level`, names the space's own.
fn own_child(
    slot: Slot<'_>,
    entry: Entry,
    level: u32,
    geometry: X86,
    batch: &mut FlushBatch<'_>,
) -> Result<(), NoMemory> {
    if is_own_child(slot, entry) {
        return Ok(());
    }
    // SAFETY: likewise; a shared table is read, and loses rights, by any number of spaces (PT-4).
    let shared = unsafe { Table::new(entry.pa()) };
    let copy = copy_table(shared, level - 1, geometry)?;
    slot.update(|_| Entry::new(copy.pa(), Perm::TABLE));
    // The entry owns the copy from now on (PT-1).
    let _ = copy.into_raw();
    // SAFETY: the entry owned a reference of the shared table, and has just been made to name another one.
    batch.release_table(unsafe { Frame::from_raw(entry.pa()) });
    Ok(())
}
