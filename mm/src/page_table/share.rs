//! Sharing page-table pages between address spaces: what `fork` does, at a cost that does not grow with the pages.
//!
//! A fork copies the root only. The tables that its entries name are shared from then on, and read-only for both sides
//! as a whole (PT-4): the right to write is missing from the entry that leads to them. Whoever then changes something
//! below such an entry first makes the tables on the way there his own ([`super::private`]), level by level. A copy of
//! a table shares what the table's entries name in the same way: the tables below, or, at the end, the frames, which
//! are marked `COPY_ON_WRITE`.
//!
//! Copying takes rights away in the original, which may be shared itself and belong to others. That is no change that
//! anybody could notice: it is read-only for all of them already.

use geometry::{Geometry, X86};

use crate::addr::VirtAddr;
use crate::error::NoMemory;
use crate::flush::FlushBatch;
use crate::frame::{BigFrame, Frame, FrameKind};
use crate::page_table::big_leaf::order_of;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::{Slot, Table};
use crate::page_table::usage::Usage;
use crate::page_table::{PageTable, new_table_page};

/// Makes `destination`, which maps nothing, map what `source` maps, by sharing page-table pages. What either side
/// writes from then on, the other does not see, except where an entry is `SHARED`.
///
/// Of the page at `written`, which both will write before anything else, the destination gets its copy at once, with
/// the tables that lead to it. Rights that are taken away from `source` are recorded in `batch`.
///
/// # Errors
/// `NoMemory`; `destination` has a part of it then.
pub(crate) fn share_tables(
    destination: &mut PageTable,
    source: &mut PageTable,
    written: VirtAddr,
    batch: &mut FlushBatch<'_>,
) -> Result<(), NoMemory> {
    let geometry = source.geometry();
    // The empty tables come along.
    destination.emptied = source.emptied;
    let mut copy = TableCopy {
        geometry,
        written: Some(written.as_u64()),
        batch: Some(batch),
    };
    // The kernel's entries do not count as used.
    copy.entries(source.root(), destination.root(), geometry.levels())
}

/// A copy of the page-table page `table`, of `level`, which shares with it all that it names (PT-4).
///
/// # Errors
/// `NoMemory`.
pub(super) fn copy_table(table: Table<'_>, level: u32, geometry: X86) -> Result<Frame, NoMemory> {
    let mut copy = TableCopy {
        geometry,
        written: None,
        batch: None,
    };
    copy.table(table, level)
}

/// How entries are copied.
struct TableCopy<'b, 'a> {
    geometry: X86,
    /// The address of a page that the copy gets for itself.
    written: Option<u64>,
    /// Where rights that are taken away are recorded; `None` if the original is read-only as a whole.
    batch: Option<&'b mut FlushBatch<'a>>,
}

impl TableCopy<'_, '_> {
    /// A new page-table page with copies of the entries of `from`, which is of `level`.
    fn table(&mut self, from: Table<'_>, level: u32) -> Result<Frame, NoMemory> {
        let page = new_table_page(level)?;
        // SAFETY: a page-table page that `page` keeps.
        let to = unsafe { Table::new(page.pa()) };
        if let Err(error) = self.entries(from, to, level) {
            // What it has been given so far goes back.
            super::drop_table(page);
            return Err(error);
        }
        Ok(page)
    }

    /// Puts copies of the entries of `from`, which is of `level`, into `to`, which nobody else has. After an error some of
    /// them are there.
    fn entries(&mut self, from: Table<'_>, to: Table<'_>, level: u32) -> Result<(), NoMemory> {
        let written = self.written.map(|va| self.geometry.index(va, level));
        let (used, mut count) = (from.usage().range(), 0);
        let mut put = |index, copy| {
            to.slot(index).set(copy);
            count += 1;
        };
        let mut entries = from.used_entries();
        // Pages have a loop of their own: nearly all entries are pages.
        let copied = match level {
            1 => entries.try_for_each(|(index, entry)| {
                let copy = self.page(from.slot(index), entry, written == Some(index));
                copy.map(|copy| put(index, copy))
            }),
            _ => entries.try_for_each(|(index, entry)| {
                let copy = self.upper(from, level, index, entry, written == Some(index));
                copy.map(|copy| put(index, copy))
            }),
        };
        if count > 0 {
            Usage::add_several(to.usage_word(), used.start, used.end - 1, count);
        }
        copied
    }

    /// The copy of `entry`, the entry `index` of `from`, which is of `level`, above that of pages.
    fn upper(
        &mut self,
        from: Table<'_>,
        level: u32,
        index: usize,
        entry: Entry,
        leads_to_written: bool,
    ) -> Result<Entry, NoMemory> {
        let slot = from.slot(index);
        Ok(match from.child(entry, level) {
            Some(child) if leads_to_written => {
                Entry::new(self.table(child, level - 1)?.into_raw(), Perm::TABLE)
            }
            Some(_) => {
                if entry.perm().contains(Perm::WRITE) {
                    slot.forbid_writing();
                    self.record_everything();
                }
                // SAFETY: the entry owns a reference of the table (PT-1), which cannot go while `from` is ours.
                let table = unsafe { Frame::borrow_raw(entry.pa()) }.share();
                Entry::new(table.into_raw(), Perm::TABLE - Perm::WRITE)
            }
            None => self.big_leaf(slot, entry, level),
        })
    }

    /// The copy of `entry`, which maps a page of 4 KiB and stands in `slot`.
    #[inline(always)]
    fn page(&mut self, slot: Slot<'_>, entry: Entry, is_written: bool) -> Result<Entry, NoMemory> {
        // What is in the copy may be in a TLB already, by way of the original.
        let perm = entry.perm() | Perm::ACCESSED;
        if perm.contains(Perm::BORROWED) {
            return Ok(Entry::new(entry.pa(), perm));
        }
        // SAFETY: the entry owns a reference (PT-2), which cannot go while the table is ours or shared (PT-3, PT-4).
        let frame = unsafe { Frame::borrow_raw(entry.pa()) };
        if is_written && perm.contains(Perm::WRITE) && !perm.contains(Perm::SHARED) {
            return Ok(Entry::new(
                frame.copy(FrameKind::Anonymous)?.into_raw(),
                perm,
            ));
        }
        let perm = self.share_leaf(slot, perm);
        Ok(Entry::new(frame.share().into_raw(), perm))
    }

    /// The copy of `entry`, which maps a big page and stands in `slot`.
    #[cold]
    fn big_leaf(&mut self, slot: Slot<'_>, entry: Entry, level: u32) -> Entry {
        let perm = entry.perm() | Perm::ACCESSED;
        if perm.contains(Perm::BORROWED) {
            return Entry::new(entry.pa(), perm);
        }
        let perm = self.share_leaf(slot, perm);
        // SAFETY: as for a page of 4 KiB.
        let big = unsafe { BigFrame::borrow_raw(entry.pa(), order_of(level)) };
        Entry::new(big.share().into_raw(), perm)
    }

    /// Makes the leaf in `slot`, which had the rights `perm`, one that several tables have; returns the rights that the
    /// copy gets.
    #[inline]
    fn share_leaf(&mut self, slot: Slot<'_>, perm: Perm) -> Perm {
        if !perm.contains(Perm::WRITE) || perm.contains(Perm::SHARED) {
            return perm;
        }
        let read_only = |old: Entry| Entry::new(old.pa(), old.perm().shared_until_written());
        // What it was at that moment: the processor may have marked it since it was read.
        let old = slot.update(read_only);
        if old.perm().contains(Perm::ACCESSED) {
            self.record_everything();
        }
        perm.shared_until_written()
    }

    fn record_everything(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.record_everything();
        }
    }
}
