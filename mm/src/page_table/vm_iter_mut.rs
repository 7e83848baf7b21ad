//! `VmIterMut`: a [`VmIter`] that has the page table to itself and changes what is mapped.
//!
//! ```text
//! let mut page = VmIterMut::new_mut(&mut table, va);
//! page.try_map(frame, Perm::USER_WRITE, &mut batch)?;     // map, whatever was there before
//!
//! // Take away everything in a range:
//! let mut page = VmIterMut::new_mut(&mut table, start);
//! while page.find_mapping(end) {
//!     page.unmap(&mut batch);
//!     page.next();
//! }
//! ```
//!
//! It changes the whole leaf that it stands on; [`VmIterMut::split`] makes a big one smaller, and
//! [`VmIterMut::try_merge`] makes one of small ones. It sees only the half of the address space that its table may map:
//! elsewhere, nothing is present, and mapping is refused.

use geometry::{ENTRIES, Geometry};

use crate::addr::{PhysAddr, VirtAddr};
use crate::error::{MapError, NoMemory};
use crate::flush::FlushBatch;
use crate::frame::{BigFrame, Frame, FrameKind};
use crate::page_table::big_leaf::{huge_at, order_of};
use crate::page_table::leaf::{Leaf, record};
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;
use crate::page_table::usage::Usage;
use crate::page_table::vm_iter::VmIterMut;
use crate::page_table::{PageTable, new_table_page};

impl<'t> VmIterMut<'t> {
    /// An iterator over `table` that stands at `va`.
    #[inline]
    pub fn new_mut(table: &'t mut PageTable, va: VirtAddr) -> VmIterMut<'t> {
        VmIterMut::at(table, va)
    }

    /// Maps `frame` at this position (a page of 4 KiB) with `perm`; the mapping owns this reference of the frame.
    ///
    /// If another frame is mapped here, its translation is gone from all CPUs before the new one can be used (TLB-5),
    /// and its reference is given back. If the same frame is, only its rights change. A big leaf is split first.
    ///
    /// # Errors
    /// `NoMemory` for a page-table page, `OutOfRange` if the table may not map this address. Then nothing has
    /// changed, and this reference of the frame is given back.
    #[inline]
    pub fn try_map(
        &mut self,
        frame: Frame,
        perm: Perm,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), MapError> {
        self.descend_to_page(batch)?;
        let old = self.slot.load();
        if old.is_present() {
            if old.owns(frame.pa()) {
                self.protect(perm, batch);
                return Ok(());
            }
            self.replace(frame, perm, batch);
            return Ok(());
        }
        let new = Entry::new(frame.into_raw(), perm.for_leaf());
        self.slot.set(new);
        Usage::add(self.container.table.usage_word(), self.slot.index());
        Ok(())
    }

    /// Maps `frame` with `perm` in the place of the page of 4 KiB that is mapped at this position.
    #[inline]
    fn replace(&mut self, frame: Frame, perm: Perm, batch: &mut FlushBatch<'_>) {
        // TLB-5: clear, flush, set. The entry stays in use, so that there is nothing to count.
        let old = self.slot.take();
        self.record(old, batch);
        batch.complete();
        let new = Entry::new(frame.into_raw(), perm.for_leaf());
        self.slot.set(new);
        if !old.perm().contains(Perm::BORROWED) {
            // SAFETY: the entry owned a reference (PT-2), and `take` gave the entry to nobody else. TLB-1: the batch is
            // complete.
            drop(unsafe { Frame::from_raw(old.pa()) });
        }
    }

    /// Puts the contents of the page of 4 KiB at this position, which owns its frame, into `frame`, and maps that with
    /// the same rights. The page is gone from all CPUs before it is copied (TLB-5), so that no store is lost.
    pub(crate) fn move_to(&mut self, frame: Frame, batch: &mut FlushBatch<'_>) {
        self.assert_private();
        let old = self.slot.load();
        let owns = self.level == 1 && old.is_present() && !old.perm().contains(Perm::BORROWED);
        assert!(owns, "what is moved is no page of this table's own");
        let old = self.slot.take();
        self.record(old, batch);
        batch.complete();
        // SAFETY: the entry owned a reference (PT-2), and `take` gave the entry to nobody else.
        let source = unsafe { Frame::from_raw(old.pa()) };
        frame.copy_from(&source);
        // A copy is this table's alone, whatever the original was.
        let mut perm = old.perm();
        if perm.contains(Perm::COPY_ON_WRITE) {
            perm = perm.difference(Perm::COPY_ON_WRITE) | Perm::WRITE;
        }
        self.slot.set(Entry::new(frame.into_raw(), perm.for_leaf()));
        batch.release(source);
    }

    /// As [`VmIterMut::try_map`], but panics if there is no memory: for boot and tests only.
    pub fn map(&mut self, frame: Frame, perm: Perm, batch: &mut FlushBatch<'_>) {
        if let Err(error) = self.try_map(frame, perm, batch) {
            panic!("mapping {:#x}: {error:?}", self.va());
        }
    }

    /// Maps, into a hole, a page of the size of `level` that no frame owner accounts for: the kernel's own memory, or
    /// device registers.
    ///
    /// # Errors
    /// `AlreadyMapped` if something is mapped here or, for a big page, has been; `NotAligned`; `OutOfRange`;
    /// `NoMemory`. Then nothing has changed.
    ///
    /// # Safety
    /// Whoever can use the mapping (all user code of the space, with `USER`) may access that memory with the rights of
    /// `perm` for as long as it is mapped.
    pub unsafe fn try_map_borrowed(
        &mut self,
        pa: PhysAddr,
        level: u32,
        perm: Perm,
    ) -> Result<(), MapError> {
        self.fill_leaf(pa, perm.for_leaf() | Perm::BORROWED, level)
    }

    /// The leaf at this position; `None` if nothing is mapped here.
    #[inline]
    pub(super) fn leaf(&self) -> Option<Leaf<'t>> {
        let entry = self.entry();
        entry.is_leaf(self.level).then(|| Leaf {
            va: self.va(),
            slot: self.slot,
            level: self.level,
            entry,
            denied: self.container.denied,
        })
    }

    /// Gives the leaf at this position the rights `perm`; does nothing if nothing is mapped.
    ///
    /// Taking rights away takes effect on all CPUs when `batch` is complete; giving more, at once or when a CPU next
    /// asks.
    #[inline]
    pub fn protect(&mut self, perm: Perm, batch: &mut FlushBatch<'_>) {
        self.assert_is_of(batch);
        if let Some(leaf) = self.leaf() {
            self.assert_private();
            leaf.protect(perm, batch);
        }
    }

    /// PT-4: who changes what is present has made the table private.
    #[inline]
    pub(super) fn assert_private(&self) {
        assert!(!self.is_shared(), "PT-4: a shared table is changed");
    }

    /// Unmaps the leaf at this position; does nothing if nothing is mapped. What was mapped is `batch`'s.
    #[inline(always)]
    pub fn unmap(&mut self, batch: &mut FlushBatch<'_>) {
        self.assert_is_of(batch);
        if let Some(leaf) = self.leaf() {
            self.assert_private();
            leaf.unmap(batch);
            Usage::remove(self.container.table.usage_word());
        }
    }

    /// Whether the mapping at this position has the only reference to its frame, or to all of its big page; false too
    /// if it owns nothing.
    #[inline]
    pub fn owns_frame_alone(&self) -> bool {
        self.leaf().is_some_and(|leaf| leaf.owns_memory_alone())
    }

    /// A new frame of the kind `kind` with the contents of the page of 4 KiB at this position; `None` if no page of
    /// this size is mapped or no frame is owned.
    #[inline]
    pub fn copy_frame(&self, kind: FrameKind) -> Option<Result<Frame, NoMemory>> {
        let entry = self.slot.load();
        let owns = self.level == 1 && entry.is_present() && !entry.perm().contains(Perm::BORROWED);
        // SAFETY: as in `share_frame`.
        owns.then(|| unsafe { Frame::borrow_raw(entry.pa()) }.copy(kind))
    }

    /// Replaces the big leaf at this position by a table of leaves of the next lower level, which map the same with the
    /// same rights, and each own its part of the memory. Does nothing to a page of 4 KiB or a hole.
    ///
    /// # Errors
    /// No memory for the table; then nothing has changed.
    pub fn split(&mut self, batch: &mut FlushBatch<'_>) -> Result<(), NoMemory> {
        if self.level == 1 || !self.slot.load().is_leaf(self.level) {
            return Ok(());
        }
        self.make_private(batch)?;
        let big = self.slot.load();
        let table_page = new_table_page(self.level - 1)?;
        // SAFETY: a page-table page, kept by `table_page` and then by the entry.
        let table = unsafe { Table::new(table_page.pa()) };
        let small_level = self.level - 1;
        let small_bytes = self.table.geometry().span(small_level);
        // The processor may mark the big leaf until it is gone, so its parts count as accessed and written.
        let perm = big.perm().difference(Perm::HUGE) | huge_at(small_level) | Perm::BY_PROCESSOR;
        for index in 0..ENTRIES {
            let pa = PhysAddr::new(big.pa().as_u64() + index as u64 * small_bytes);
            table.slot(index).set(Entry::new(pa, perm));
            Usage::add(table.usage_word(), index);
        }
        // The entry owns the table from now on (PT-1).
        let old = self.slot.update(|_| Entry::new(table.pa(), Perm::TABLE));
        let _ = table_page.into_raw();
        if !big.perm().contains(Perm::BORROWED) {
            // SAFETY: the big leaf owned it (PT-2) and is gone. The new leaves own the parts that it is given up as.
            let memory = unsafe { BigFrame::from_raw(big.pa(), order_of(self.level)) };
            let _ = memory.into_raw_parts(order_of(small_level));
        }
        self.record(old, batch);
        self.find(self.va());
        Ok(())
    }

    /// Goes down to the entry of a page of 4 KiB, making tables private, splitting big leaves and adding tables.
    #[inline]
    pub(crate) fn descend_to_page(&mut self, batch: &mut FlushBatch<'_>) -> Result<(), MapError> {
        if !self.table.may_map(self.va) {
            return Err(MapError::OutOfRange);
        }
        self.make_private(batch)?;
        while self.level > 1 {
            if self.present() {
                self.split(batch)?;
            } else {
                self.descend_to(1)?;
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn record(&self, old: Entry, batch: &mut FlushBatch<'_>) {
        self.assert_is_of(batch);
        record(self.va(), old, batch);
    }

    #[inline]
    pub(super) fn assert_is_of(&self, batch: &FlushBatch<'_>) {
        debug_assert!(
            batch.space() == self.table.space(),
            "the batch is another space's"
        );
    }
}
