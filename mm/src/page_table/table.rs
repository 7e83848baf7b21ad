//! One page-table page, as the rest of this module sees it.
//!
//! Everything that is unsafe about walking tables rests on three invariants of the tree below a
//! [`PageTable`](super::PageTable):
//!
//! - **PT-1** An entry above level 1 that is present and no leaf names a page-table page of the next lower level. The
//!   entry owns one reference of that page, except in the kernel's root entries, whose tables live for ever.
//! - **PT-2** A leaf owns one reference of the frame that it maps, unless it is `BORROWED`; a big leaf, of the
//!   [`BigFrame`](crate::frame::BigFrame) of its size.
//! - **PT-3** While a `PageTable` is borrowed, entries may be filled (not present to present) by any number of CPUs.
//!   Removing what is present takes the mutable borrow, and what was removed goes into a `FlushBatch`. The one
//!   exception are pages of 4 KiB in a [`FaultTable`](super::FaultTable), which may be claimed one by one
//!   ([`super::claim`]); who uses that borrows no frames.
//! - **PT-4** A page-table page with several references is *shared*, and every entry that names it lacks `WRITE`, so
//!   that the processor writes nothing below it. A shared table, and whatever lies below one, does not change, except
//!   that its entries may lose rights which nobody can use anyway ([`super::share`]). An entry that lacks `WRITE`
//!   although its table has become somebody's alone gets it back when that one next wants to change something
//!   ([`super::private`]).

use core::marker::PhantomData;
use core::sync::atomic::AtomicU32;

use geometry::ENTRIES;
use smp::sync::{AtomicU64, Ordering};

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::frame::Frame;
use crate::hw;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::usage::Usage;

/// How many empty entries are passed at a time.
const STEP: usize = 8;

/// A page-table page that stays one for `'t`.
#[derive(Copy, Clone)]
pub(super) struct Table<'t> {
    pa: PhysAddr,
    lives: PhantomData<&'t AtomicU64>,
}

impl<'t> Table<'t> {
    /// The page-table page at `pa`.
    ///
    /// # Safety
    /// For all of `'t` the frame at `pa` is a page-table page, reached by nothing but atomic operations, and is not
    /// freed.
    #[inline]
    pub(super) unsafe fn new(pa: PhysAddr) -> Table<'t> {
        Table {
            pa,
            lives: PhantomData,
        }
    }

    /// Its physical address.
    #[inline]
    pub(super) fn pa(self) -> PhysAddr {
        self.pa
    }

    /// Its entry `index`; an index beyond the table counts from the start again.
    #[inline]
    pub(super) fn slot(self, index: usize) -> Slot<'t> {
        Slot(&self.entries()[index % ENTRIES])
    }

    /// Its entries that are not empty, by ascending index.
    #[inline]
    pub(super) fn used_entries(self) -> impl Iterator<Item = (usize, Entry)> + use<'t> {
        let (entries, mut rest) = (self.entries(), self.usage().range());
        core::iter::from_fn(move || {
            loop {
                let index = rest.next()?;
                let entry = Slot(&entries[index]).load();
                if entry != Entry::EMPTY {
                    return Some((index, entry));
                }
                // A program may use few entries of a root, far apart: what lies between is passed in steps.
                if index.is_multiple_of(STEP) && is_empty(&entries[index..index + STEP]) {
                    rest.start = index + STEP;
                }
            }
        })
    }

    #[inline]
    fn entries(self) -> &'t [AtomicU64; ENTRIES] {
        // In a model there are entries, but no tables of them.
        assert!(size_of::<[AtomicU64; ENTRIES]>() == PAGE_SIZE);
        let entries = hw::phys_to_ptr(self.pa).cast::<[AtomicU64; ENTRIES]>();
        // SAFETY: `new` was promised that this page, which is aligned, holds page-table entries for `'t`, used
        // atomically only.
        unsafe { &*entries }
    }

    /// The table that `entry`, read from this table, names, if it is that kind of entry at this level.
    #[inline]
    pub(super) fn child(self, entry: Entry, level: u32) -> Option<Table<'t>> {
        // SAFETY: PT-1 for the entry; its reference keeps the child for as long as it is not removed, which cannot
        // happen during `'t` (PT-3).
        entry
            .is_table(level)
            .then(|| unsafe { Table::new(entry.pa()) })
    }

    /// Which entries are in use.
    #[inline]
    pub(super) fn usage(self) -> Usage {
        Usage::of(self.usage_word())
    }

    /// The word in its frame descriptor that says which entries are in use.
    #[inline]
    pub(super) fn usage_word(self) -> &'t AtomicU32 {
        // SAFETY: the frame is allocated and not freed during `'t` (`new`), so that its descriptor is in the table,
        // where it stays for ever; the owner that is made up here is not dropped.
        unsafe {
            let page = Frame::borrow_raw(self.pa);
            &*core::ptr::from_ref(page.word())
        }
    }
}

/// Whether all these entries are empty.
#[inline]
fn is_empty(entries: &[AtomicU64]) -> bool {
    let bits = |entry| Slot(entry).load().raw();
    entries.iter().fold(0, |all, entry| all | bits(entry)) == 0
}

/// An entry in memory, where other CPUs and the processor's own walker can see it.
#[derive(Copy, Clone)]
pub struct Slot<'t>(&'t AtomicU64);

/// What a position that no table has an entry for stands on.
static NOWHERE: AtomicU64 = AtomicU64::new(0);

impl<'t> Slot<'t> {
    /// An entry of a model, which is in no table.
    pub fn lone(entry: &'t AtomicU64) -> Slot<'t> {
        Slot(entry)
    }

    /// An entry that is always empty.
    #[inline]
    pub(super) fn nowhere() -> Slot<'t> {
        Slot(&NOWHERE)
    }

    /// Which entry of its table it is.
    #[inline]
    pub(super) fn index(self) -> usize {
        (core::ptr::from_ref(self.0) as usize % PAGE_SIZE) / size_of::<AtomicU64>()
    }

    /// The entry behind it in its table, if it is not the last.
    ///
    /// # Safety
    /// It is an entry of a table, not `nowhere`.
    #[inline]
    pub(super) unsafe fn next(self) -> Option<Slot<'t>> {
        let address = core::ptr::from_ref(self.0).addr() + size_of::<AtomicU64>();
        let next = core::ptr::with_exposed_provenance::<AtomicU64>(address);
        // SAFETY: a table is a page of memory that the kernel reaches, so that another entry follows unless the page
        // ends there; the table lives for `'t`.
        (!address.is_multiple_of(PAGE_SIZE)).then(|| Slot(unsafe { &*next }))
    }

    /// Its value now.
    #[inline]
    pub fn load(self) -> Entry {
        // Acquire pairs with the Release in `fill` and `set`: who sees an entry sees what it names, above all a new
        // table's zeros.
        Entry::from_raw(self.0.load(Ordering::Acquire))
    }

    /// Makes an empty entry `new`; if it is not empty (any more), returns what it is.
    #[inline]
    pub fn fill(self, new: Entry) -> Result<(), Entry> {
        // Release pairs with the Acquire in `load`; Acquire, because the loser goes on with the winner's table.
        match self
            .0
            .compare_exchange(0, new.raw(), Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(present) => Err(Entry::from_raw(present)),
        }
    }

    /// Stores `new`; the caller has the table to himself and knows that the entry is empty.
    #[inline]
    pub(super) fn set(self, new: Entry) {
        debug_assert!(self.load() == Entry::EMPTY);
        // Release pairs with the Acquire in `load`.
        self.0.store(new.raw(), Ordering::Release);
    }

    /// Makes the entry `CLAIMED` if it is `seen` but for the processor's marks, and returns what it was.
    #[inline]
    pub(super) fn claim(self, seen: Entry) -> Option<Entry> {
        let mut old = seen;
        loop {
            // AcqRel: Acquire as in `load`; Release, because what was done with the page comes before the entry is
            // gone.
            let claimed = self.0.compare_exchange(
                old.raw(),
                Entry::CLAIMED.raw(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match claimed.map_err(Entry::from_raw) {
                Ok(_) => return Some(old),
                Err(now) if now.differs_in_marks_only(old) => old = now,
                Err(_) => return None,
            }
        }
    }

    /// Ends a claim.
    #[inline]
    pub(super) fn settle(self, new: Entry) {
        debug_assert!(self.load() == Entry::CLAIMED);
        // Release pairs with the Acquire in `load`.
        self.0.store(new.raw(), Ordering::Release);
    }

    /// Empties the entry of a table that nobody else, not even a processor, can reach any more.
    #[inline]
    pub(super) fn clear_alone(self) {
        // Relaxed: the page is handed on by way of the frame's owner.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Takes the right to write from the entry, in whatever table it is: what it leads to is shared from now on.
    /// Returns what it was.
    #[inline]
    pub(super) fn forbid_writing(self) -> Entry {
        // AcqRel: Acquire as in `load`; Release, because what the caller did with the page before comes first.
        Entry::from_raw(self.0.fetch_and(!Perm::WRITE.bits(), Ordering::AcqRel))
    }

    /// Empties the entry and returns what it was: a read-modify-write, so that no mark that the processor makes is
    /// lost.
    #[inline]
    pub fn take(self) -> Entry {
        // AcqRel: Acquire as in `load`; Release, because what was done with the page comes before the entry is gone.
        Entry::from_raw(self.0.swap(0, Ordering::AcqRel))
    }

    /// Replaces the entry by `update` of it, again if it has changed meanwhile, and returns what it was.
    #[inline]
    pub fn update(self, mut update: impl FnMut(Entry) -> Entry) -> Entry {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let new = update(Entry::from_raw(old)).raw();
            // As in `take`.
            match self
                .0
                .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Entry::from_raw(old),
                Err(now) => old = now,
            }
        }
    }
}
