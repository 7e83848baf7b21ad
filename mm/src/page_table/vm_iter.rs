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
//! An iterator stands on one entry of the page table: a leaf (a page of 4 KiB, 2 MiB or 1 GiB) or a hole, which may be as
//! large as what an entry of the root covers. There are two kinds. A `VmIter` borrows the table and can be had many times at
//! once, on several CPUs: it reads, and fills holes ([`VmIter::try_fill`]). A [`VmIterMut`] borrows it mutably, so it is
//! alone: it can also map over, protect and unmap; see [`super::vm_iter_mut`].

use core::marker::PhantomData;

use crate::addr::{PAGE_SIZE, PhysAddr, USER_END, VirtAddr};
use crate::error::MapError;
use crate::frame::Frame;
use crate::hw;
use crate::page_table::geometry::{Geometry, X86};
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::{Slot, Table};
use crate::page_table::usage::Usage;
use crate::page_table::walk::walk;
use crate::page_table::{PageTable, new_table_page};

/// The right of a [`VmIter`] to read a page table and to fill its holes, along with others.
pub enum Shared {}

/// The right of a [`VmIterMut`] to change a page table, alone.
pub enum Exclusive {}

/// Which right an iterator has: [`Shared`] or [`Exclusive`].
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

/// A position in a virtual address space. See the module's page.
pub struct VmIter<'t, A: Access = Shared> {
    pub(super) table: &'t PageTable,
    pub(super) va: u64,
    /// The entry that covers `va`, the table that it is in, and that table's level.
    pub(super) slot: Slot<'t>,
    pub(super) container: Table<'t>,
    pub(super) level: u32,
    /// What entries above this one take away: `WRITE` and `USER` if they lack it, `NO_EXECUTE` if they have it.
    denied: u64,
    access: PhantomData<A>,
}

/// A [`VmIter`] that has the page table to itself and can change what is mapped.
pub type VmIterMut<'t> = VmIter<'t, Exclusive>;

/// The rights that an entry takes away from what lies below it.
#[inline]
fn denied_by(entry: u64) -> u64 {
    let missing = !entry & (Perm::WRITE.bits() | Perm::USER.bits());
    missing | entry & Perm::NO_EXECUTE.bits()
}

impl<'t> VmIter<'t> {
    /// An iterator over `table` that stands at `va`.
    #[inline]
    pub fn new(table: &'t PageTable, va: VirtAddr) -> VmIter<'t> {
        VmIter::at(table, va)
    }
}

impl<'t, A: Access> VmIter<'t, A> {
    #[inline]
    pub(super) fn at(table: &'t PageTable, va: VirtAddr) -> Self {
        let container = table.root();
        let mut iter = VmIter {
            table,
            va: 0,
            slot: Slot::nowhere(),
            container,
            level: 0,
            denied: 0,
            access: PhantomData,
        };
        iter.walk_to(va.as_u64());
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
    pub(super) fn effective_perm(&self, entry: Entry) -> Perm {
        if !entry.is_leaf(self.level) {
            return Perm::empty();
        }
        let no_execute = Perm::NO_EXECUTE.bits();
        let bits = entry.perm().bits() & !(self.denied & !no_execute) | self.denied & no_execute;
        Perm::from_bits_retain(bits)
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

    /// Another reference to the frame that is mapped at this position; `None` if nothing is mapped or no frame is owned.
    #[inline]
    pub fn share_frame(&self) -> Option<Frame> {
        let entry = self.slot.load();
        let owns = entry.is_leaf(self.level) && !entry.perm().contains(Perm::BORROWED);
        // SAFETY: the entry owns a reference (PT-2), and nobody takes it back while the table is borrowed (PT-3).
        owns.then(|| unsafe { Frame::borrow_raw(entry.pa()) }.share())
    }

    /// Goes to `va`.
    #[inline]
    pub fn find(&mut self, va: VirtAddr) -> &mut Self {
        let address = va.as_u64();
        if self.level == 1 && (self.va ^ address) >> X86::FOUR_LEVELS.shift(2) == 0 {
            // Still in the same table of level 1.
            self.va = address;
            self.slot = self.container.slot(self.table.geometry().index(address, 1));
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
        match self.slot.next() {
            // Nearly always: the next page of the same table.
            Some(slot) if self.level == 1 => {
                self.va = (self.va | (PAGE_SIZE as u64 - 1)) + 1;
                self.slot = slot;
                self
            }
            _ => self.find(self.after(self.last_va().as_u64())),
        }
    }

    /// Stays if something is mapped here; otherwise goes on to the next mapping. Returns false, and stands at `end` (or the
    /// end of user space, whichever is first), if there is none before `end`.
    ///
    /// Empty stretches cost little: the tables know which of their entries are in use.
    #[inline]
    pub fn find_mapping(&mut self, end: VirtAddr) -> bool {
        let end = end.min(USER_END);
        (self.va < end.as_u64() && self.present()) || self.search_mapping(end)
    }

    /// As [`VmIter::find_mapping`], from a hole or from `end`.
    fn search_mapping(&mut self, end: VirtAddr) -> bool {
        while self.va < end.as_u64() {
            if self.present() {
                return true;
            }
            self.skip_hole();
        }
        self.find(end);
        false
    }

    /// Moves from a hole to the next entry of its table that is not empty, or else to the first address behind the table.
    fn skip_hole(&mut self) {
        let geometry = self.table.geometry();
        if self.level > geometry.levels() {
            self.next();
            return;
        }
        let used = self.container.usage().range();
        let first = (self.slot.index() + 1).max(used.start);
        let found =
            (first..used.end).find(|&index| self.container.slot(index).load() != Entry::EMPTY);
        let table_mask = geometry.span(self.level + 1) - 1;
        let next = match found {
            Some(index) => {
                let inside = (index as u64) << geometry.shift(self.level);
                self.after((self.va & !table_mask | inside).wrapping_sub(1))
            }
            None => self.after(self.va | table_mask),
        };
        self.find(next);
    }

    /// The first canonical address after `last`, or the end of user space.
    #[inline]
    fn after(&self, last: u64) -> VirtAddr {
        match last.wrapping_add(1) {
            0 => USER_END,
            next => VirtAddr::new(self.table.geometry().canonical(next)),
        }
    }

    /// Goes to `address` from the root.
    fn walk_to(&mut self, address: u64) {
        let geometry = self.table.geometry();
        self.va = address;
        self.denied = 0;
        let is_seen = if A::SEES_OWN_HALF_ONLY {
            self.table.may_map(address)
        } else {
            geometry.is_canonical(address)
        };
        if !is_seen {
            self.container = self.table.root();
            self.slot = Slot::nowhere();
            self.level = geometry.levels() + 1;
            return;
        }
        // With the number of levels known, the compiler makes straight code of the walk.
        if geometry == X86::FOUR_LEVELS {
            self.walk_down(X86::FOUR_LEVELS, address);
        } else {
            self.walk_down(X86::FIVE_LEVELS, address);
        }
    }

    #[inline(always)]
    fn walk_down(&mut self, geometry: X86, address: u64) {
        // Rights are taken away by the entries above the last one only.
        let mut above = None;
        let mut denied = 0;
        let mut container = self.table.root();
        let mut slot = Slot::nowhere();
        let stop = walk(geometry, container.pa().as_u64(), address, |at| {
            denied |= above.map_or(0, denied_by);
            // SAFETY: the root's page, or one that an entry which the walk has just read names; PT-1 and PT-3 keep it.
            container = unsafe { Table::new(PhysAddr::new(at.table)) };
            slot = container.slot(at.index);
            let entry = slot.load().raw();
            above = Some(entry);
            entry
        });
        self.denied = denied;
        self.level = stop.at.level;
        (self.container, self.slot) = (container, slot);
    }

    /// Goes down to the entry of `level` for this address, adding the tables that are missing.
    ///
    /// Errors: `AlreadyMapped` if a larger leaf is in the way, `OutOfRange` if the table may not map this address.
    #[inline]
    pub(crate) fn descend_to(&mut self, level: u32) -> Result<(), MapError> {
        while self.level > level {
            let entry = self.slot.load();
            let child = match self.container.child(entry, self.level) {
                Some(child) => child,
                None if entry.is_present() => return Err(MapError::AlreadyMapped),
                None => self.add_table()?,
            };
            self.denied |= denied_by(self.slot.load().raw());
            self.container = child;
            self.level -= 1;
            self.slot = child.slot(self.table.geometry().index(self.va, self.level));
        }
        Ok(())
    }

    /// Puts a new table into the hole at this position, unless another CPU is faster; then its table is returned.
    #[cold]
    fn add_table(&mut self) -> Result<Table<'t>, MapError> {
        let new = new_table_page()?;
        let entry = Entry::new(new.pa(), Perm::TABLE);
        match self.slot.fill(entry) {
            Ok(()) => {
                Usage::add(self.container.usage_word(), self.slot.index());
                // The entry owns the table from now on (PT-1).
                let _ = new.into_raw();
                self.container
                    .child(entry, self.level)
                    .ok_or(MapError::AlreadyMapped)
            }
            Err(present) => self
                .container
                .child(present, self.level)
                .ok_or(MapError::AlreadyMapped),
        }
    }

    /// Maps `frame` into the hole at this position with `perm`; the mapping owns this reference of the frame.
    ///
    /// Any number of CPUs may fill holes of one table. Errors: `AlreadyMapped` if something is mapped here (another CPU was
    /// faster, say); then nothing has changed and this reference of the frame is given back.
    #[inline]
    pub fn try_fill(&mut self, frame: Frame, perm: Perm) -> Result<(), MapError> {
        if !self.table.may_map(self.va) {
            return Err(MapError::OutOfRange);
        }
        self.descend_to(1)?;
        let new = Entry::new(frame.pa(), perm.for_leaf());
        self.slot.fill(new).map_err(|_| MapError::AlreadyMapped)?;
        Usage::add(self.container.usage_word(), self.slot.index());
        // The entry owns the reference from now on (PT-2).
        let _ = frame.into_raw();
        Ok(())
    }
}
