//! The process table: ids, and what is behind them.
//!
//! Every thread has an entry, until it is joined or its process ends; a process keeps the entry of its first thread
//! until it is reaped. An entry has a lock of its own, so looking up one id never waits for another. Ids are given out
//! in rising order and wrap at the end of the table, so an id is reused as late as can be.

#[cfg(all(test, loom))]
pub(crate) mod model;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use mm::NoMemory;
use smp::lock::SpinLock;
use smp::rank;
use spin::Once;

#[cfg(all(test, loom))]
use self::model::table;
use crate::process::Process;
use crate::sync::{AtomicU32, Ordering};
use crate::thread::{Id, Thread};

/// Entries at least, unless the boot line says otherwise; more on a machine with more memory.
const MIN_CAPACITY: usize = 32_768;
/// One entry for so many frames of memory: the kernel stack of an entry alone takes four.
const FRAMES_PER_ENTRY: usize = 64;

/// What is behind an id.
#[derive(Clone, Default)]
pub enum Entry {
    /// Nothing: the id can be given out.
    #[default]
    Free,
    /// `fork`, `spawn` or `create_thread` is filling it.
    Reserved,
    /// A thread; behind the id of its process, the process too.
    Thread(Arc<Thread>),
    /// A process whose first thread has ended: as long as others run, and then until its parent asks for its status.
    Process(Arc<Process>),
}

type Slot = SpinLock<Entry, rank::PtableSlot>;

/// The table. There is one, `TABLE`; tests make their own.
struct Table {
    slots: Box<[Slot]>,
    /// The id to try next, modulo the capacity.
    next: AtomicU32,
    used: AtomicU32,
}

static TABLE: Once<Table> = Once::new();

/// How many entries the table has on a machine with so many frames of memory.
pub fn usual_capacity(total_frames: usize) -> usize {
    MIN_CAPACITY.max(total_frames / FRAMES_PER_ENTRY)
}

/// Makes the table, with so many entries, at boot.
///
/// # Errors
/// [`NoMemory`] if the machine is too small for it.
pub(crate) fn init(capacity: usize) -> Result<(), NoMemory> {
    let table = Table::with_capacity(capacity)?;
    TABLE.call_once(|| table);
    Ok(())
}

#[cfg(not(all(test, loom)))]
fn table() -> Option<&'static Table> {
    TABLE.get()
}

/// An id that nobody else has. Given back if it is dropped unused.
#[must_use]
pub(crate) struct Reservation {
    table: &'static Table,
    id: Id,
}

/// Reserves an id for a new entry.
///
/// # Errors
/// `EAGAIN` if the table is full.
pub(crate) fn reserve() -> Result<Reservation, Errno> {
    let table = table().ok_or(Errno::EAGAIN)?;
    mm::fail::point().map_err(|NoMemory| Errno::EAGAIN)?;
    let id = table.reserve()?;
    Ok(Reservation { table, id })
}

impl Reservation {
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Puts the thread behind its id; from now on others find it.
    pub(crate) fn publish(self, thread: Arc<Thread>) {
        if let Some(slot) = self.table.slot(self.id) {
            *slot.lock() = Entry::Thread(thread);
        }
        core::mem::forget(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.table.free(self.id);
    }
}

/// What is behind `id`.
pub fn find(id: Id) -> Entry {
    match table().and_then(|table| table.slot(id)) {
        Some(slot) => slot.lock().clone(),
        None => Entry::Free,
    }
}

/// The thread behind `id`.
pub fn find_thread(id: Id) -> Option<Arc<Thread>> {
    match find(id) {
        Entry::Thread(thread) => Some(thread),
        _ => None,
    }
}

/// The process behind `id`, running or ended, if `id` is the id of a process.
pub fn find_process(id: Id) -> Option<Arc<Process>> {
    let process = match find(id) {
        Entry::Thread(thread) => thread.process().cloned(),
        Entry::Process(process) => Some(process),
        Entry::Free | Entry::Reserved => None,
    };
    process.filter(|process| process.id() == id)
}

/// The first thread of a process is gone: its entry keeps the id for the process.
pub(crate) fn replace_thread_by_process(process: &Arc<Process>) {
    let replaced = match table().and_then(|table| table.slot(process.id())) {
        Some(slot) => core::mem::replace(&mut *slot.lock(), Entry::Process(process.clone())),
        None => Entry::Free,
    };
    // Dropped here, without the lock: it may be the last reference to the thread and its stack.
    drop(replaced);
}

/// Gives back an id whose entry nobody needs any more.
pub(crate) fn free(id: Id) {
    if let Some(table) = table() {
        table.free(id);
    }
}

/// How many entries are in use.
pub fn used() -> u32 {
    // Relaxed: a count for display and accounts.
    table().map_or(0, |table| table.used.load(Ordering::Relaxed))
}

/// How many entries there are.
pub fn capacity() -> usize {
    table().map_or(0, |table| table.slots.len())
}

/// Calls `visit` for every id in use, in rising order.
pub fn for_each(mut visit: impl FnMut(Id, Entry)) {
    for index in 1..capacity() {
        let id = index as Id;
        match find(id) {
            Entry::Free | Entry::Reserved => {}
            entry => visit(id, entry),
        }
    }
}

impl Table {
    fn with_capacity(capacity: usize) -> Result<Table, NoMemory> {
        let mut slots: Vec<Slot> = Vec::new();
        slots.try_reserve_exact(capacity).map_err(|_| NoMemory)?;
        slots.extend((0..capacity).map(|_| SpinLock::new(Entry::Free)));
        // Id 0 means "no process" to callers, so its slot stays empty.
        Ok(Table {
            slots: slots.into_boxed_slice(),
            next: AtomicU32::new(1),
            used: AtomicU32::new(0),
        })
    }

    fn slot(&self, id: Id) -> Option<&Slot> {
        usize::try_from(id)
            .ok()
            .filter(|&index| index != 0)
            .and_then(|index| self.slots.get(index))
    }

    fn reserve(&self) -> Result<Id, Errno> {
        for _ in 0..self.slots.len() {
            // Relaxed: only the number matters; the slot's lock orders what is behind it.
            let ticket = self.next.fetch_add(1, Ordering::Relaxed) as usize;
            let index = ticket % self.slots.len();
            let Some(slot) = self.slot(index as Id) else {
                continue;
            };
            let mut entry = slot.lock();
            if matches!(*entry, Entry::Free) {
                *entry = Entry::Reserved;
                // Relaxed: a count for display and accounts.
                self.used.fetch_add(1, Ordering::Relaxed);
                return Ok(index as Id);
            }
        }
        Err(Errno::EAGAIN)
    }

    fn free(&self, id: Id) {
        if let Some(slot) = self.slot(id) {
            let freed = core::mem::take(&mut *slot.lock());
            if !matches!(freed, Entry::Free) {
                // Relaxed: see `reserve`.
                self.used.fetch_sub(1, Ordering::Relaxed);
            }
            // The entry itself is dropped after the lock: it may be the last reference.
            drop(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Ordering, Table};

    #[test]
    fn an_id_is_reused_only_after_all_others() {
        let table = Table::with_capacity(5).unwrap();
        assert_eq!(
            (1..=3)
                .map(|_| table.reserve().unwrap())
                .collect::<Vec<_>>(),
            [1, 2, 3]
        );
        table.free(2);
        assert_eq!(table.reserve(), Ok(4));
        assert_eq!(table.reserve(), Ok(2));
    }

    #[test]
    fn a_full_table_refuses_until_an_id_is_given_back() {
        let table = Table::with_capacity(4).unwrap();
        let ids: Vec<_> = (0..3).map(|_| table.reserve().unwrap()).collect();
        assert_eq!(table.reserve(), Err(Errno::EAGAIN));
        table.free(ids[1]);
        assert_eq!(table.reserve(), Ok(ids[1]));
    }

    #[test]
    fn zero_negative_and_large_ids_are_behind_no_slot() {
        let table = Table::with_capacity(4).unwrap();
        assert!(table.slot(0).is_none() && table.slot(-1).is_none() && table.slot(4).is_none());
    }

    #[test]
    fn ids_that_are_reserved_at_once_are_all_different() {
        let table = Table::with_capacity(401).unwrap();
        let reserve_some = || {
            (0..100)
                .map(|_| table.reserve().unwrap())
                .collect::<Vec<_>>()
        };
        let mut ids = std::thread::scope(|scope| {
            let others = [(); 4].map(|()| scope.spawn(reserve_some));
            others.map(|other| other.join().unwrap()).concat()
        });
        ids.sort_unstable();
        assert_eq!(ids, (1..=400).collect::<Vec<_>>());
        assert_eq!(table.reserve(), Err(Errno::EAGAIN));
    }

    #[test]
    fn entries_are_counted_while_they_are_used_however_often_they_are_freed() {
        let table = Table::with_capacity(8).unwrap();
        let ids = [(); 3].map(|()| table.reserve().unwrap());
        assert_eq!(table.used.load(Ordering::Relaxed), 3);
        for id in [ids[0], ids[0], ids[1], 0, -1, 7, 8] {
            table.free(id);
        }
        assert_eq!(table.used.load(Ordering::Relaxed), 1);
    }
}
