//! `VmIter`: a position in a virtual address space, and what is mapped there.
//!
//! ```text
//! // What does the process see at `va`?
//! let page = VmIter::new(table, va);
//! if page.present() && page.user() { println!("{} -> {:?}", page.va(), page.pa()) }
//!
//! // All mappings of a range, and nothing of what lies between them:
//! let mut page = VmIter::new(table, start);
//! while page.find_mapping(end) {
//!     // ... page.va(), page.pa(), page.perm() ...
//!     page.next();
//! }
//! ```
//!
//! An iterator stands on one entry of the page table: a leaf (a page of 4 KiB, 2 MiB or 1 GiB) or a hole, which may be
//! as large as what an entry of the root covers. There are two kinds. A `VmIter` borrows the table and can be had many
//! times at once, on several CPUs: it reads, and fills holes ([`VmIter::try_fill`]). A [`VmIterMut`] borrows it
//! mutably, so it is alone: it can also map over, protect and unmap; see [`super::vm_iter_mut`].

use core::marker::PhantomData;

use geometry::{Geometry, X86, walk};

use crate::addr::{PAGE_SIZE, PhysAddr, USER_END, VirtAddr};
use crate::frame::Frame;
use crate::hw;
use crate::page_table::PageTable;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::{Slot, Table};

/// The right of a [`VmIter`] to read a page table and to fill its holes, along with others.
pub enum Shared {}

/// The right of a [`VmIterMut`] to change a page table, alone.
pub enum Exclusive {}

/// The right of a fault to read a page table, to fill its holes and to claim its pages, along with others.
pub enum Faulting {}

/// Which right an iterator has: [`Shared`], [`Faulting`] or [`Exclusive`].
pub trait Access {
    /// Whether the iterator sees only the addresses that its table may map: the others are not its to change.
    const SEES_OWN_HALF_ONLY: bool;
}

impl Access for Shared {
    const SEES_OWN_HALF_ONLY: bool = false;
}

impl Access for Exclusive {
    const SEES_OWN_HALF_ONLY: bool = true;
}

impl Access for Faulting {
    const SEES_OWN_HALF_ONLY: bool = true;
}

/// The rights with which nobody else claims pages meanwhile, so that an entry's frame can be borrowed.
pub trait KeepsFrames: Access {}

impl KeepsFrames for Shared {}

impl KeepsFrames for Exclusive {}

/// A position in a virtual address space. See the module's page.
pub struct VmIter<'t, A: Access = Shared> {
    pub(super) table: &'t PageTable,
    pub(super) va: u64,
    /// The entry that covers `va`.
    pub(super) slot: Slot<'t>,
    /// The level of the table that `slot` is in; above the root's for a position that no entry covers.
    pub(super) level: u32,
    pub(super) container: Container<'t>,
    access: PhantomData<A>,
}

/// The table that an entry is in; the root for a position that no entry covers.
#[derive(Copy, Clone)]
pub(super) struct Container<'t> {
    pub(super) table: Table<'t>,
    /// What the entries above the table take away from all below: `WRITE` and `USER` if they lack it, `NO_EXECUTE` if
    /// they have it.
    pub(super) denied: u64,
}

/// A [`VmIter`] that has the page table to itself and can change what is mapped.
pub type VmIterMut<'t> = VmIter<'t, Exclusive>;

/// The rights that entries take away from what lies below them, where `all` is what all of them have in common, and
/// `any` what any of them has.
#[inline]
fn denied_by(all: u64, any: u64) -> u64 {
    let missing = !all & (Perm::WRITE.bits() | Perm::USER.bits());
    missing | any & Perm::NO_EXECUTE.bits()
}

impl<'t> VmIter<'t> {
    /// An iterator over `table` that stands at `va`.
    #[inline]
    pub fn new(table: &'t PageTable, va: VirtAddr) -> VmIter<'t> {
        VmIter::at(table, va)
    }
}

impl<'t, A: Access> VmIter<'t, A> {
    pub(super) fn at(table: &'t PageTable, va: VirtAddr) -> Self {
        let (geometry, address) = (table.geometry(), va.as_u64());
        let is_seen = if A::SEES_OWN_HALF_ONLY {
            table.may_map(address)
        } else {
            geometry.is_canonical(address)
        };
        if !is_seen {
            return VmIter::nowhere(table, address);
        }
        // With the number of levels known, the compiler makes straight code of the walk.
        if geometry == X86::FOUR_LEVELS {
            VmIter::walk_down(table, X86::FOUR_LEVELS, address)
        } else {
            VmIter::walk_down(table, X86::FIVE_LEVELS, address)
        }
    }

    /// At an address that no entry covers.
    fn nowhere(table: &'t PageTable, va: u64) -> Self {
        VmIter {
            table,
            va,
            slot: Slot::nowhere(),
            level: table.geometry().levels() + 1,
            container: Container::root(table),
            access: PhantomData,
        }
    }

    #[inline(always)]
    fn walk_down(table: &'t PageTable, geometry: X86, va: u64) -> Self {
        let mut iter = VmIter::nowhere(table, va);
        // What the entries have in common that have been read, and what any of them has.
        let (mut all, mut any) = (u64::MAX, 0);
        let stop = walk(geometry, table.root_pa().as_u64(), va, |at| {
            // SAFETY: the root's page, or one that an entry which the walk has just read names; PT-1 and PT-3 keep it.
            let table = unsafe { Table::new(PhysAddr::new(at.table)) };
            let denied = denied_by(all, any);
            iter.container = Container { table, denied };
            iter.slot = table.slot(at.index);
            let entry = iter.slot.load().raw();
            (all, any) = (all & entry, any | entry);
            entry
        });
        iter.level = stop.at.level;
        iter
    }

    /// The virtual address of this position.
    #[inline]
    pub fn va(&self) -> VirtAddr {
        VirtAddr::new(self.va)
    }

    /// The last address that the leaf or the hole at this position covers.
    #[inline]
    pub fn last_va(&self) -> VirtAddr {
        let geometry = self.table.geometry();
        if self.level > geometry.levels() {
            // Nowhere: what lies below the table's own half, or above it, is one hole.
            let start = self.table.start().as_u64();
            return if self.va < start {
                VirtAddr::new(start - 1)
            } else {
                VirtAddr::new(u64::MAX)
            };
        }
        VirtAddr::new(self.va | (geometry.span(self.level) - 1))
    }

    /// The level of the entry at this position: 1 for pages of 4 KiB, 2 for 2 MiB, 3 for 1 GiB; holes can be larger.
    #[inline]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The entry at this position, as it is in memory: rights that are missing further up are not taken away.
    #[inline]
    pub fn entry(&self) -> Entry {
        self.slot.load()
    }

    /// Whether something is mapped here.
    #[inline]
    pub fn present(&self) -> bool {
        self.entry().is_leaf(self.level)
    }

    /// Whether memory is mapped here that may be written (by the kernel, or by a user if it is the user's).
    #[inline]
    pub fn writable(&self) -> bool {
        self.perm().contains(Perm::PRESENT | Perm::WRITE)
    }

    /// Whether memory is mapped here that user code may use.
    #[inline]
    pub fn user(&self) -> bool {
        self.perm().contains(Perm::PRESENT | Perm::USER)
    }

    /// The flags of the mapping here, less what the levels above forbid; empty if nothing is mapped.
    #[inline]
    pub fn perm(&self) -> Perm {
        self.effective_perm(self.entry())
    }

    /// What `entry`, read from this position, allows.
    #[inline]
    pub(crate) fn effective_perm(&self, entry: Entry) -> Perm {
        if !entry.is_leaf(self.level) {
            return Perm::empty();
        }
        entry.perm().less(self.container.denied)
    }

    /// The physical address that [`VmIter::va`] is translated to; `None` if nothing is mapped here.
    #[inline]
    pub fn pa(&self) -> Option<PhysAddr> {
        let entry = self.entry();
        let inside = self.table.geometry().span(self.level) - 1;
        entry
            .is_leaf(self.level)
            .then(|| PhysAddr::new(entry.pa().as_u64() & !inside | self.va & inside))
    }

    /// Where the kernel reaches the byte that is mapped here; `None` if nothing is.
    #[inline]
    pub fn kptr(&self) -> Option<*mut u8> {
        self.pa().map(hw::phys_to_ptr)
    }

    /// Another reference to the frame that is mapped at this position; `None` if no page of 4 KiB is mapped or no frame
    /// is owned. Of a big page: [`VmIter::share_big`].
    #[inline]
    pub fn share_frame(&self) -> Option<Frame>
    where
        A: KeepsFrames,
    {
        self.share_mapping().map(|(frame, _)| frame)
    }

    /// As [`VmIter::share_frame`], with the mapping's permissions.
    #[inline]
    pub(super) fn share_mapping(&self) -> Option<(Frame, Perm)>
    where
        A: KeepsFrames,
    {
        let entry = self.slot.load();
        let owns = self.level == 1 && entry.is_present() && !entry.perm().contains(Perm::BORROWED);
        // SAFETY: the entry owns a reference (PT-2), and nobody takes it back while the table is borrowed (PT-3).
        owns.then(|| unsafe { Frame::borrow_raw(entry.pa()) }.share())
            .map(|frame| (frame, self.effective_perm(entry)))
    }

    /// Goes to `va`.
    #[inline]
    pub fn find(&mut self, va: VirtAddr) -> &mut Self {
        let address = va.as_u64();
        if self.level == 1 && (self.va ^ address) >> X86::FOUR_LEVELS.shift(2) == 0 {
            // Still in the same table of level 1.
            self.va = address;
            self.slot = self
                .container
                .table
                .slot(self.table.geometry().index(address, 1));
        } else {
            self.walk_to(address);
        }
        self
    }

    /// Goes on by one page of 4 KiB, or to the end of user space if there is no further one.
    #[inline]
    pub fn next_page(&mut self) -> &mut Self {
        self.find(self.after(self.va | (self.table.geometry().span(1) - 1)))
    }

    /// Goes past the leaf or the hole at this position, to the first address behind it.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "a position, not a sequence: the name is the courses'"
    )]
    pub fn next(&mut self) -> &mut Self {
        let next = match self.level {
            // SAFETY: on level 1 it is an entry of a table.
            1 => unsafe { self.slot.next() },
            _ => None,
        };
        match next {
            // Nearly always: the next page of the same table.
            Some(slot) => {
                self.va = (self.va | (PAGE_SIZE as u64 - 1)) + 1;
                self.slot = slot;
                self
            }
            None => self.find(self.after(self.last_va().as_u64())),
        }
    }

    /// The first canonical address after `last`, or the end of user space.
    #[inline]
    pub(super) fn after(&self, last: u64) -> VirtAddr {
        match last.wrapping_add(1) {
            0 => USER_END,
            next => VirtAddr::new(self.table.geometry().canonical(next)),
        }
    }

    /// Goes past the table of level 1 of this position, or else past the big leaf or the hole, to the first address
    /// behind it.
    pub(super) fn next_small_table(&mut self) -> &mut Self {
        if self.level > 1 {
            return self.next();
        }
        let last = self.va | (self.table.geometry().span(2) - 1);
        self.find(self.after(last))
    }

    /// Goes to `address` from the root.
    pub(super) fn walk_to(&mut self, address: u64) {
        *self = VmIter::at(self.table, VirtAddr::new(address));
    }

    /// Goes to the entry `index` of the table `child` one level below, which the entry at this position names.
    #[inline]
    pub(super) fn enter_child(&mut self, child: Table<'t>, index: usize) {
        self.container = self.container.child(child, self.slot.load());
        self.level -= 1;
        self.slot = child.slot(index);
    }

    /// Goes to the entry of the table one level above that names the table of this position.
    pub(super) fn enter_parent(&mut self) {
        let geometry = self.table.geometry();
        self.level += 1;
        self.container = Container::root(self.table);
        for level in (self.level + 1..=geometry.levels()).rev() {
            let table = self.container.table;
            let entry = table.slot(geometry.index(self.va, level)).load();
            if let Some(child) = table.child(entry, level) {
                self.container = self.container.child(child, entry);
            }
        }
        let index = geometry.index(self.va, self.level);
        self.slot = self.container.table.slot(index);
    }
}

impl<'t> Container<'t> {
    /// Nothing is above it.
    #[inline]
    fn root(table: &'t PageTable) -> Container<'t> {
        Container {
            table: table.root(),
            denied: 0,
        }
    }

    /// The table `child`, which `entry` of this one names.
    #[inline]
    fn child(self, child: Table<'t>, entry: Entry) -> Container<'t> {
        Container {
            table: child,
            denied: self.denied | denied_by(entry.raw(), entry.raw()),
        }
    }
}
