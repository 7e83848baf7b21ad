//! What is flushed when rights change or mappings go, and when frames come back.

use smp::sync::AtomicU64;

use super::{TestSpace, frames_in_use, new_frame, page};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::error::MapError;
use crate::flush;
use crate::hw::host::{Flushes, Machine, flushes, machine};
use crate::page_table::{Entry, Perm, VmIter, VmIterMut};

/// A space that this thread's CPU uses.
pub(super) struct LoadedSpace {
    pub(super) space: TestSpace,
    _machine: Machine,
}

impl LoadedSpace {
    pub(super) fn new() -> LoadedSpace {
        let _machine = machine();
        let space = TestSpace::new();
        let off = smp::irq::disable();
        let root = AtomicU64::new(space.table().root_pa().as_u64());
        // SAFETY: 1. it is this space's root; 2. and no other CPU enters later; 3. the space is in a box.
        unsafe { flush::enter(&space.active, &root, &off) };
        LoadedSpace { space, _machine }
    }

    /// What this CPU flushes during `change`.
    pub(super) fn flushes_of(&mut self, change: impl FnOnce(&mut TestSpace)) -> Flushes {
        let before = flushes();
        change(&mut self.space);
        let after = flushes();
        Flushes {
            pages: after.pages - before.pages,
            all: after.all - before.all,
        }
    }

    fn protect(&mut self, va: VirtAddr, perm: Perm) -> Flushes {
        self.flushes_of(|space| {
            let (table, mut batch) = space.change();
            VmIterMut::new_mut(table, va).protect(perm, &mut batch);
        })
    }
}

impl TestSpace {
    /// What the processor does when it uses a mapping.
    pub(super) fn touch(&mut self, va: VirtAddr) {
        let iter = self.at(va);
        iter.slot
            .update(|entry| Entry::new(entry.pa(), entry.perm() | Perm::ACCESSED));
    }
}

const NOTHING: Flushes = Flushes { pages: 0, all: 0 };

#[test]
fn taking_a_right_away_flushes_the_page_and_giving_one_does_not() {
    let mut loaded = LoadedSpace::new();
    loaded
        .space
        .map_new(page(0), Perm::USER_READ | Perm::NO_EXECUTE);
    loaded.space.touch(page(0));
    assert_eq!(
        loaded.protect(page(0), Perm::USER_WRITE | Perm::NO_EXECUTE),
        NOTHING
    );
    assert_eq!(loaded.protect(page(0), Perm::USER_WRITE), NOTHING);
    for weaker in [
        Perm::USER_READ,
        Perm::USER_READ | Perm::NO_EXECUTE,
        Perm::NO_EXECUTE,
    ] {
        assert_eq!(
            loaded.protect(page(0), weaker),
            Flushes { pages: 1, all: 0 },
            "{weaker:?}"
        );
    }
}

#[test]
fn protecting_keeps_the_frame_and_what_the_processor_noted() {
    let mut loaded = LoadedSpace::new();
    let pa = loaded.space.map_new(page(0), Perm::USER_WRITE);
    loaded.space.touch(page(0));
    loaded.protect(
        page(0),
        Perm::USER_READ | Perm::COPY_ON_WRITE | Perm::HUGE | Perm::BORROWED,
    );
    let iter = loaded.space.at(page(0));
    assert_eq!(iter.pa(), Some(pa));
    assert_eq!(
        iter.perm(),
        Perm::USER_READ | Perm::COPY_ON_WRITE | Perm::ACCESSED
    );
}

#[test]
fn what_was_never_accessed_is_unmapped_without_a_flush() {
    let mut loaded = LoadedSpace::new();
    let before = frames_in_use();
    loaded.space.map_new(page(0), Perm::USER_WRITE);
    assert_eq!(loaded.flushes_of(|space| space.unmap(page(0))), NOTHING);
    assert_eq!(frames_in_use().0, before.0);
}

#[test]
fn few_pages_are_flushed_one_by_one_and_many_all_at_once() {
    for (pages, expected) in [
        (1, Flushes { pages: 1, all: 0 }),
        (14, Flushes { pages: 14, all: 0 }),
        (15, Flushes { pages: 0, all: 1 }),
    ] {
        let mut loaded = LoadedSpace::new();
        for index in 0..pages {
            loaded.space.map_new(page(index), Perm::USER_WRITE);
            loaded.space.touch(page(index));
        }
        let flushed = loaded.flushes_of(|space| {
            let (table, mut batch) = space.change();
            let mut iter = VmIterMut::new_mut(table, page(0));
            while iter.find_mapping(page(pages)) {
                iter.unmap(&mut batch);
                iter.next();
            }
        });
        assert_eq!(flushed, expected, "{pages} pages");
    }
}

#[test]
fn a_space_that_no_cpu_has_loaded_is_not_flushed() {
    let mut loaded = LoadedSpace::new();
    flush::leave(&smp::irq::disable());
    loaded.space.map_new(page(0), Perm::USER_WRITE);
    loaded.space.touch(page(0));
    assert_eq!(loaded.flushes_of(|space| space.unmap(page(0))), NOTHING);
}

#[test]
fn frames_come_back_only_when_the_batch_is_complete() {
    let _machine = machine();
    let mut space = TestSpace::new();
    space.map_new(page(0), Perm::USER_WRITE);
    space.touch(page(0));
    let before = frames_in_use();
    let (table, mut batch) = space.change();
    VmIterMut::new_mut(table, page(0)).unmap(&mut batch);
    assert!(!VmIter::new(table, page(0)).present());
    assert_eq!(frames_in_use(), before);
    batch.complete();
    assert_eq!(frames_in_use(), (before.0 - 1, before.1));
    assert!(batch.is_empty());
}

#[test]
fn mapping_over_another_frame_flushes_before_the_new_one_is_there() {
    let mut loaded = LoadedSpace::new();
    let old = loaded.space.map_new(page(0), Perm::USER_WRITE);
    loaded.space.touch(page(0));
    let before = frames_in_use();
    let mut new = PhysAddr::new(0);
    let flushed = loaded.flushes_of(|space| {
        new = space.map_new(page(0), Perm::USER_WRITE);
    });
    assert_eq!(flushed, Flushes { pages: 1, all: 0 });
    assert_ne!(old, new);
    assert_eq!(loaded.space.at(page(0)).pa(), Some(new));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn mapping_the_same_frame_again_changes_its_rights_only() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let frame = new_frame();
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    for perm in [Perm::USER_READ, Perm::USER_WRITE] {
        assert_eq!(iter.try_map(frame.share(), perm, &mut batch), Ok(()));
        assert_eq!((frame.references(), iter.perm()), (2, perm));
    }
}

#[test]
fn rights_that_an_upper_level_lacks_are_missing_below() {
    let _machine = machine();
    let mut space = TestSpace::new();
    space.map_new(page(0), Perm::USER_WRITE);
    space.map_new(page(1 << 18), Perm::USER_WRITE);
    let mut table = space.table().root();
    for (level, index) in [(4, 256), (3, 0)] {
        table = table
            .child(table.slot(index).load(), level)
            .expect("a table");
    }
    table.slot(0).update(|entry| {
        let perm = entry.perm().difference(Perm::WRITE) | Perm::NO_EXECUTE;
        Entry::new(entry.pa(), perm)
    });
    let iter = space.at(page(0));
    assert!(iter.present() && iter.user() && !iter.writable());
    assert_eq!(iter.perm(), Perm::USER_READ | Perm::NO_EXECUTE);
    assert_eq!(iter.entry().perm(), Perm::USER_WRITE);
    // Nor does a search bring them back, or keep them away from where nothing forbids them.
    let mut iter = space.at(VirtAddr::new(0));
    assert!(iter.find_mapping(page(1)));
    assert_eq!(iter.perm(), Perm::USER_READ | Perm::NO_EXECUTE);
    assert!(iter.next().find_mapping(page(1 << 19)));
    assert_eq!(iter.perm(), Perm::USER_WRITE);
}

#[test]
fn protect_in_the_middle_of_a_big_page_splits_it_once() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let before = frames_in_use();
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    // SAFETY: nobody runs in this space.
    unsafe { iter.try_map_borrowed(PhysAddr::new(0x4000_0000), 3, Perm::USER_WRITE) }
        .expect("a hole");
    let middle = page(512 * 3 + 5);
    for _ in 0..2 {
        iter.find(middle);
        while iter.level() > 1 {
            iter.split(&mut batch).expect("memory");
        }
        iter.protect(Perm::USER_READ, &mut batch);
    }
    // Tables of level 3 (for the big page itself), 2 and 1.
    assert_eq!(frames_in_use().1, before.1 + 3);
    for (index, level, writable) in [
        (0, 2, true),
        (512 * 3 + 4, 1, true),
        (512 * 3 + 5, 1, false),
        (512 * 4, 2, true),
    ] {
        iter.find(page(index));
        assert_eq!(
            (iter.level(), iter.writable()),
            (level, writable),
            "page {index}"
        );
        assert_eq!(
            iter.pa(),
            Some(PhysAddr::new(0x4000_0000 + index * PAGE_SIZE as u64))
        );
    }
}

#[test]
fn a_big_page_that_does_not_fit_is_refused() {
    let _machine = machine();
    let mut space = TestSpace::new();
    space.map_new(page(512), Perm::USER_READ);
    let (table, _batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    let mut map = |va: u64, pa: u64, level: u32| {
        iter.find(page(va));
        // SAFETY: nobody runs in this space.
        unsafe { iter.try_map_borrowed(PhysAddr::new(pa), level, Perm::USER_READ) }
    };
    assert_eq!(map(1, 0x20_0000, 2), Err(MapError::NotAligned));
    assert_eq!(map(0, 0x10_0000, 2), Err(MapError::NotAligned));
    assert_eq!(map(512, 0x20_0000, 2), Err(MapError::AlreadyMapped));
    assert_eq!(map(0, 0x4000_0000, 3), Err(MapError::AlreadyMapped));
    assert_eq!(map(0, 0, 4), Err(MapError::OutOfRange));
    assert_eq!(map(0, 0x20_0000, 2), Ok(()));
    assert_eq!(map(3, 0x20_3000, 1), Err(MapError::AlreadyMapped));
}
