//! Where the iterators go, and what they say is there.

use std::vec::Vec;

use super::{TestSpace, frames_in_use, new_frame, page};
use crate::addr::{PAGE_SIZE, PhysAddr, USER_END, USER_START, USER_START_5_LEVELS, VirtAddr};
use crate::error::MapError;
use crate::hw::host::machine;
use crate::page_table::{Perm, PtIter, VmIter, VmIterMut, X86};

/// All mappings of user space: the first address, and the level.
fn mappings(space: &TestSpace) -> Vec<(VirtAddr, u32)> {
    let mut found = Vec::new();
    let mut iter = space.at(VirtAddr::new(space.table().geometry().upper_half()));
    while iter.find_mapping(USER_END) {
        found.push((iter.va(), iter.level()));
        iter.next();
    }
    assert_eq!(iter.va(), USER_END);
    found
}

fn page_tables(space: &TestSpace) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let mut iter = PtIter::new(space.table());
    while iter.active() {
        found.push((iter.level(), iter.va().as_u64()));
        assert!(iter.used_entries() > 0);
        iter.next();
    }
    found
}

#[test]
fn a_mapping_is_seen_at_its_page_and_nowhere_else() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let pa = space.map_new(page(7), Perm::USER_WRITE);
    let inside = space.at(VirtAddr::new(page(7).as_u64() + 0x123));
    assert_eq!(inside.pa(), Some(PhysAddr::new(pa.as_u64() + 0x123)));
    assert!(inside.present() && inside.user() && inside.writable());
    assert_eq!(inside.last_va().as_u64(), page(8).as_u64() - 1);
    for other in [page(6), page(8), page(7 + 512), VirtAddr::new(0x7000)] {
        let outside = space.at(other);
        assert!(!outside.present() && !outside.user() && !outside.writable());
        assert_eq!(
            (outside.pa(), outside.kptr(), outside.perm()),
            (None, None, Perm::empty())
        );
    }
}

#[test]
fn find_mapping_visits_exactly_what_is_mapped_in_order() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let last = VirtAddr::new(USER_END.as_u64() - PAGE_SIZE as u64);
    let mapped = [
        page(0),
        page(1),
        page(511),
        page(512),
        page(3 << 9),
        page(5 << 18),
        page(9 << 27),
        last,
    ];
    for va in mapped.iter().rev() {
        space.map_new(*va, Perm::USER_READ);
    }
    assert_eq!(mappings(&space), mapped.map(|va| (va, 1)));
}

#[test]
fn find_mapping_stops_before_the_end_it_is_given() {
    let _machine = machine();
    let mut space = TestSpace::new();
    space.map_new(page(3), Perm::USER_READ);
    let mut iter = space.at(page(0));
    assert!(!iter.find_mapping(page(3)));
    assert_eq!(iter.va(), page(3));
    assert!(iter.find_mapping(page(4)));
    assert_eq!(iter.va(), page(3));
}

#[test]
fn a_search_from_the_kernels_half_finds_the_first_user_page() {
    let _machine = machine();
    let mut space = TestSpace::new();
    space.map_new(page(1), Perm::USER_READ);
    for start in [
        0,
        0x1000,
        0x7fff_ffff_f000,
        0x8000_0000_0000,
        0xffff_7fff_ffff_ffff,
    ] {
        let mut iter = space.at(VirtAddr::new(start));
        assert!(iter.find_mapping(USER_END), "from {start:#x}");
        assert_eq!(iter.va(), page(1), "from {start:#x}");
    }
}

#[test]
fn stepping_by_pages_and_by_holes_ends_at_the_end_of_user_space() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let last = VirtAddr::new(USER_END.as_u64() - PAGE_SIZE as u64);
    space.map_new(last, Perm::USER_READ);
    let mut iter = space.at(last);
    assert_eq!(iter.next_page().va(), USER_END);
    // The last page of all: behind it the address space ends.
    assert_eq!(iter.next_page().va(), USER_END);
    assert_eq!(iter.next().va(), USER_END);
}

#[test]
fn page_table_pages_come_depth_first_and_level_1_before_level_2() {
    let _machine = machine();
    let mut space = TestSpace::new();
    for va in [page(0), page(512), page(1 << 18), page(1 << 27)] {
        space.map_new(va, Perm::USER_READ);
    }
    let at = |index: u64| page(index).as_u64();
    let (first, second) = (at(0), at(1 << 27));
    assert_eq!(
        page_tables(&space),
        [
            (1, first),
            (1, at(512)),
            (2, first),
            (1, at(1 << 18)),
            (2, at(1 << 18)),
            (3, first),
            (1, second),
            (2, second),
            (3, second),
        ]
    );
}

#[test]
fn a_table_without_mappings_has_no_page_table_pages_but_its_root() {
    let _machine = machine();
    let space = TestSpace::new();
    assert!(page_tables(&space).is_empty());
    assert!(mappings(&space).is_empty());
}

#[test]
fn five_levels_reach_further_down() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::with(X86::FIVE_LEVELS);
    let mapped = [USER_START_5_LEVELS, page(0)];
    for va in mapped {
        space.map_new(va, Perm::USER_WRITE);
    }
    assert_eq!(mappings(&space), mapped.map(|va| (va, 1)));
    assert_eq!(
        page_tables(&space).last(),
        Some(&(4, 0xffff_0000_0000_0000))
    );
    drop(space);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn what_lies_outside_of_the_users_half_is_refused_and_the_frame_given_back() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let before = frames_in_use();
    let (table, mut batch) = space.change();
    for va in [
        0,
        0x20_0000,
        0x8000_0000_0000,
        USER_START.as_u64() - 1,
        USER_END.as_u64(),
    ] {
        let va = VirtAddr::new(va);
        let exclusive =
            VmIterMut::new_mut(table, va).try_map(new_frame(), Perm::USER_WRITE, &mut batch);
        assert_eq!(exclusive, Err(MapError::OutOfRange), "{va}");
        let shared = VmIter::new(table, va).try_fill(new_frame(), Perm::USER_WRITE);
        assert_eq!(shared, Err(MapError::OutOfRange), "{va}");
    }
    drop(batch);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_filled_page_is_not_filled_again_and_the_loser_frame_is_given_back() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let pa = space.map_new(page(0), Perm::USER_READ);
    let before = frames_in_use();
    assert_eq!(
        space.at(page(0)).try_fill(new_frame(), Perm::USER_READ),
        Err(MapError::AlreadyMapped)
    );
    assert_eq!(space.at(page(0)).pa(), Some(pa));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn threads_that_fill_one_table_at_once_make_each_page_once() {
    let _machine = machine();
    let before = frames_in_use();
    let space = TestSpace::new();
    let table = space.table();
    let filled: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|cpu| {
                scope.spawn(move || {
                    smp::host::become_cpu(smp::CpuId::new(cpu));
                    let mut iter = VmIter::new(table, page(0));
                    let mut won = 0;
                    for index in (0..2000).map(|step| step * 37 % 2000) {
                        won += usize::from(
                            iter.find(page(index))
                                .try_fill(new_frame(), Perm::USER_READ)
                                .is_ok(),
                        );
                    }
                    won
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    assert_eq!(filled, 2000);
    assert_eq!(mappings(&space).len(), 2000);
    // Four tables of level 1, one of levels 2 and 3 each, and the root.
    assert_eq!(frames_in_use(), (before.0 + 2000, before.1 + 7));
    drop(space);
    assert_eq!(frames_in_use(), before);
}
