//! Big pages that own their memory: mapping, splitting, merging, sharing.

use std::vec::Vec;

use super::rights::LoadedSpace;
use super::{TestSpace, frames_in_use, new_frame, page};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::{MapError, NoMemory};
use crate::frame::{self, BigFrame, Frame, FrameKind};
use crate::hw::host::{Flushes, machine};
use crate::page_table::{
    Copying, ENTRIES, Perm, PhysicalRange, PtIter, VmIterMut, copy_mappings, copy_mappings_by,
};

const PAGES: u64 = ENTRIES as u64;
const BIG_BYTES: u64 = PAGES * PAGE_SIZE as u64;
const DATA: Perm = Perm::USER_WRITE.union(Perm::NO_EXECUTE);
/// No memory of the test machine: nobody looks at it.
const DEVICE: u64 = 0x4000_0000;

fn new_big() -> BigFrame {
    frame::alloc_big(9, FrameKind::Anonymous).expect("a block")
}

impl TestSpace {
    /// Maps a new big page at page `index`, and returns its address.
    pub(super) fn map_big(&mut self, index: u64, perm: Perm) -> PhysAddr {
        let big = new_big();
        let pa = big.pa();
        let (table, mut batch) = self.change();
        let mut iter = VmIterMut::new_mut(table, page(index));
        iter.try_map_big(big, perm, &mut batch).expect("a hole");
        pa
    }

    fn map_physical(
        &mut self,
        index: u64,
        range: &PhysicalRange,
        offset: u64,
        level: u32,
    ) -> Result<(), MapError> {
        let mut iter = VmIterMut::new_mut(self.change().0, page(index));
        iter.try_map_physical(range, offset, level, DATA)
    }

    fn split(&mut self, index: u64) {
        let (table, mut batch) = self.change();
        let mut iter = VmIterMut::new_mut(table, page(index));
        iter.split(&mut batch).expect("memory");
    }

    fn protect(&mut self, index: u64, perm: Perm) {
        let (table, mut batch) = self.change();
        VmIterMut::new_mut(table, page(index)).protect(perm, &mut batch);
    }

    fn merge(&mut self, index: u64) -> bool {
        let (table, mut batch) = self.change();
        VmIterMut::new_mut(table, page(index)).try_merge(&mut batch)
    }

    fn copy_by(&mut self, source: &mut TestSpace, how: Copying) -> Result<(), MapError> {
        let (from, mut batch) = source.change();
        copy_mappings_by(self.change().0, from, &mut batch, |_, _| how)
    }
}

/// Address, level and rights at page `index`.
fn leaf(space: &TestSpace, index: u64) -> (Option<PhysAddr>, u32, Perm) {
    let iter = space.at(page(index));
    (
        iter.pa(),
        iter.level(),
        iter.perm()
            .difference(Perm::ACCESSED | Perm::DIRTY | Perm::HUGE),
    )
}

fn inside(pa: PhysAddr, index: u64) -> Option<PhysAddr> {
    pa.checked_add(index * PAGE_SIZE as u64)
}

#[test]
fn a_big_page_is_one_entry_and_comes_back_when_the_batch_is_complete() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let before = frames_in_use();
    let pa = space.map_big(PAGES, DATA);
    assert_eq!(leaf(&space, PAGES), (Some(pa), 2, DATA));
    assert_eq!(leaf(&space, PAGES + 77), (inside(pa, 77), 2, DATA));
    assert!(!space.at(page(PAGES - 1)).present() && !space.at(page(2 * PAGES)).present());
    // Tables of levels 3 and 2.
    let mapped = (before.0 + ENTRIES, before.1 + 2);
    assert_eq!(frames_in_use(), mapped);
    let (table, mut batch) = space.change();
    VmIterMut::new_mut(table, page(PAGES)).unmap(&mut batch);
    assert_eq!(frames_in_use(), mapped);
    batch.complete();
    assert_eq!(frames_in_use(), (before.0, before.1 + 2));
}

#[test]
fn more_big_pages_than_a_batch_can_hold_are_unmapped_by_one() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::new();
    for index in 0..20 {
        space.map_big(index * PAGES, DATA);
    }
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    while iter.find_mapping(page(20 * PAGES)) {
        iter.unmap(&mut batch);
        iter.next();
    }
    drop(batch);
    assert_eq!(frames_in_use().0, before.0);
}

#[test]
fn a_big_page_gives_out_no_frame_and_a_small_one_no_big_frame() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    space.map_new(page(PAGES), DATA);
    let (table, _batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(3));
    assert!(iter.share_frame().is_none() && iter.copy_frame(FrameKind::Anonymous).is_none());
    let (big, perm) = iter.share_big().expect("a big page");
    assert_eq!((big.pa(), perm), (pa, DATA | Perm::HUGE));
    assert!(!iter.owns_frame_alone());
    drop(big);
    assert!(iter.owns_frame_alone());
    assert!(iter.find(page(PAGES)).share_big().is_none() && iter.share_frame().is_some());
    let range = device(BIG_BYTES);
    iter.find(page(2 * PAGES))
        .try_map_physical(&range, 0, 2, DATA)
        .expect("a hole");
    assert!(iter.present() && iter.share_big().is_none() && !iter.owns_frame_alone());
}

#[test]
fn a_split_gives_each_page_its_frame() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    space.split(7);
    let kept = space.at(page(9)).share_frame().expect("a frame");
    assert_eq!((Some(kept.pa()), kept.references()), (inside(pa, 9), 2));
    space.unmap(page(9));
    space.unmap(page(10));
    assert_eq!(leaf(&space, 8), (inside(pa, 8), 1, DATA));
    assert!(!space.at(page(9)).present());
    assert_eq!(frames_in_use().0, before.0 + ENTRIES - 1);
    drop(space);
    assert_eq!(frames_in_use(), (before.0 + 1, before.1));
}

#[test]
fn a_split_without_memory_for_its_table_changes_nothing() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    let hoard: Vec<Frame> = std::iter::from_fn(|| frame::alloc(FrameKind::Kernel).ok()).collect();
    let (table, mut batch) = space.change();
    let result = VmIterMut::new_mut(table, page(0)).split(&mut batch);
    drop(batch);
    drop(hoard);
    assert_eq!(result, Err(NoMemory));
    assert_eq!(leaf(&space, 0), (Some(pa), 2, DATA));
}

#[test]
fn a_big_page_shared_by_two_is_split_by_one_and_dropped_in_any_order() {
    let _machine = machine();
    for is_splitter_first in [false, true] {
        let before = frames_in_use();
        let (mut parent, mut child) = (TestSpace::new(), TestSpace::new());
        let pa = parent.map_big(0, DATA);
        child
            .copy_by(&mut parent, Copying::ShareUntilWritten)
            .expect("memory");
        let shared = Perm::USER_READ | Perm::NO_EXECUTE | Perm::COPY_ON_WRITE;
        for space in [&parent, &child] {
            assert_eq!(leaf(space, 0), (Some(pa), 2, shared));
        }
        child.split(5);
        child.unmap(page(5));
        assert_eq!(leaf(&parent, 5), (inside(pa, 5), 2, shared));
        assert_eq!(leaf(&child, 6), (inside(pa, 6), 1, shared));
        assert_eq!(frames_in_use().0, before.0 + ENTRIES);
        if is_splitter_first {
            drop(child);
            assert_eq!(frames_in_use().0, before.0 + ENTRIES);
            drop(parent);
        } else {
            drop(parent);
            assert_eq!(frames_in_use().0, before.0 + ENTRIES - 1);
            drop(child);
        }
        assert_eq!(frames_in_use(), before);
    }
}

#[test]
fn a_copy_of_a_big_page_is_big_if_there_is_a_block_and_small_if_not() {
    let _machine = machine();
    let before = frames_in_use();
    let mut parent = TestSpace::new();
    let pa = parent.map_big(0, DATA);
    let word = |space: &TestSpace, index| {
        let iter = space.at(page(index));
        iter.kptr().expect("mapped").cast::<u64>()
    };
    for index in 0..PAGES {
        // SAFETY: the page is memory of this test's own.
        unsafe { word(&parent, index).write(index ^ 0x5eed) };
    }
    for level in [2, 1] {
        let mut child = TestSpace::new();
        let mut hoard = Vec::new();
        if level == 1 {
            frame::drain_own_cache();
            hoard.extend(std::iter::from_fn(|| {
                frame::alloc_big(9, FrameKind::Kernel).ok()
            }));
            // What is left has no block of 2 MiB, but frames.
            let last: BigFrame = hoard.pop().expect("a block");
            let frames = last.into_raw_parts(0);
            // SAFETY: the frames were just given up; the first stays in use, the others are dropped.
            hoard.push(unsafe { BigFrame::from_raw(frames, 0) });
            for index in 1..PAGES {
                let pa = inside(frames, index).expect("memory");
                // SAFETY: as above.
                drop(unsafe { Frame::from_raw(pa) });
            }
        }
        child
            .copy_by(&mut parent, Copying::CopyNow)
            .expect("memory");
        for index in 0..PAGES {
            let (copy, copied_level, perm) = leaf(&child, index);
            assert_eq!((copied_level, perm), (level, DATA));
            assert_ne!(copy, inside(pa, index));
            // SAFETY: as above.
            assert_eq!(unsafe { word(&child, index).read() }, index ^ 0x5eed);
        }
        assert_eq!(leaf(&parent, 0), (Some(pa), 2, DATA));
    }
    drop(parent);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn copying_shares_what_the_user_can_access_and_skips_what_is_borrowed() {
    let _machine = machine();
    let (mut parent, mut child) = (TestSpace::new(), TestSpace::new());
    let pa = parent.map_big(0, DATA);
    parent.map_big(PAGES, Perm::WRITE);
    parent
        .map_physical(2 * PAGES, &device(BIG_BYTES), 0, 2)
        .expect("a hole");
    copy_mappings(child.change().0, parent.table()).expect("memory");
    let mut other = TestSpace::new();
    other.copy_by(&mut parent, Copying::Share).expect("memory");
    for space in [&child, &other] {
        assert_eq!(leaf(space, 0), (Some(pa), 2, DATA));
        assert!(!space.at(page(PAGES)).present() && !space.at(page(2 * PAGES)).present());
    }
}

#[test]
fn a_page_replaced_by_a_copy_has_the_same_contents_and_rights() {
    let _machine = machine();
    let (mut parent, mut child) = (TestSpace::new(), TestSpace::new());
    let pa = parent.map_big(0, DATA);
    let small = parent.map_new(page(PAGES), DATA);
    copy_mappings(child.change().0, parent.table()).expect("memory");
    let (table, mut batch) = child.change();
    for index in [0, PAGES] {
        let mut iter = VmIterMut::new_mut(table, page(index));
        iter.replace_by_copy(&mut batch).expect("memory");
        assert!(iter.owns_frame_alone());
    }
    drop(batch);
    let (copy, level, perm) = leaf(&child, 0);
    assert_eq!((level, perm), (2, DATA));
    assert_ne!(copy, Some(pa));
    assert_ne!(child.at(page(PAGES)).pa(), Some(small));
    assert_eq!(child.at(page(PAGES)).perm(), DATA);
}

#[test]
fn equal_rights_after_a_split_let_the_pages_merge_again() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    let mapped = frames_in_use();
    space.split(3);
    space.protect(3, Perm::USER_READ);
    assert!(!space.merge(3));
    space.protect(3, DATA);
    // Whatever the processor has noted.
    space.touch(page(8));
    assert!(space.merge(3));
    assert_eq!(leaf(&space, 3), (inside(pa, 3), 2, DATA));
    assert!(space.at(page(3)).perm().contains(Perm::ACCESSED));
    assert_eq!(frames_in_use(), mapped);
    assert!(space.at(page(3)).share_big().is_some());
    assert!(!space.merge(3), "there is nothing more to merge");
    drop(space);
    assert_eq!(frames_in_use(), before);
    assert_eq!(new_big().pa(), pa, "it is one block again");
}

#[test]
fn pages_that_do_not_fit_together_do_not_merge() {
    let _machine = machine();
    let before = frames_in_use();
    let mut shared = None;
    type Change<'c> = &'c mut dyn FnMut(&mut TestSpace);
    let cases: [(&str, Change<'_>); 5] = [
        ("a hole", &mut |space| space.unmap(page(PAGES - 1))),
        ("another right", &mut |space| {
            space.protect(511, DATA | Perm::COPY_ON_WRITE);
        }),
        ("a frame shared", &mut |space| {
            shared = space.at(page(5)).share_frame();
        }),
        ("another frame", &mut |space| {
            space.map_new(page(9), DATA);
        }),
        ("two frames swapped", &mut |space| {
            let frames = [1, 2].map(|index| space.at(page(index)).share_frame().expect("mapped"));
            let [first, second] = frames;
            let (table, mut batch) = space.change();
            let mut iter = VmIterMut::new_mut(table, page(1));
            iter.map(second, DATA, &mut batch);
            iter.find(page(2)).map(first, DATA, &mut batch);
        }),
    ];
    for (case, prepare) in cases {
        let mut space = TestSpace::new();
        space.map_big(0, DATA);
        space.split(0);
        prepare(&mut space);
        assert!(!space.merge(0), "{case}");
        assert_eq!(space.at(page(0)).level(), 1, "{case}");
    }
    drop(shared);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn memory_that_is_not_aligned_does_not_merge() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let two = frame::alloc_big(10, FrameKind::Anonymous).expect("a block");
    let start = two.into_raw_parts(0);
    let frame_at = |index| {
        // SAFETY: the frames were just given up, and each is taken back once.
        unsafe { Frame::from_raw(inside(start, index).expect("memory")) }
    };
    let mut frames: Vec<Frame> = (0..2 * PAGES).map(frame_at).collect();
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    for (index, frame) in frames.drain(1..=ENTRIES).enumerate() {
        iter.find(page(index as u64)).map(frame, DATA, &mut batch);
    }
    drop(batch);
    assert!(!space.merge(0));
}

#[test]
fn borrowed_pages_merge_to_2_mib_and_to_1_gib() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::new();
    let range = device(PAGES * BIG_BYTES);
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(0));
    for index in 0..PAGES {
        iter.find(page(index));
        let offset = index * PAGE_SIZE as u64;
        iter.try_map_physical(&range, offset, 1, DATA)
            .expect("a hole");
    }
    for index in 1..PAGES {
        iter.find(page(index * PAGES));
        iter.try_map_physical(&range, index * BIG_BYTES, 2, DATA)
            .expect("a hole");
    }
    assert!(!iter.try_merge(&mut batch), "a part is in smaller pages");
    assert!(iter.find(page(0)).try_merge(&mut batch));
    assert_eq!(iter.level(), 2);
    assert!(iter.try_merge(&mut batch));
    assert_eq!((iter.level(), iter.pa()), (3, Some(range.start())));
    assert!(!iter.try_merge(&mut batch), "there is no larger page");
    drop(batch);
    assert_eq!(
        leaf(&space, 513),
        (inside(range.start(), 513), 3, DATA | Perm::BORROWED)
    );
    drop(space);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn borrowed_and_owned_pages_do_not_merge() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    space.split(0);
    space.unmap(page(7));
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(7));
    // SAFETY: nobody runs in this space.
    unsafe { iter.try_map_borrowed(inside(pa, 7).expect("memory"), 1, DATA) }.expect("a hole");
    assert!(!iter.try_merge(&mut batch));
}

#[test]
fn a_merge_makes_cpus_forget_the_small_pages() {
    for (touched, expected) in [
        // None, but the table.
        (0, Flushes { pages: 0, all: 1 }),
        (3, Flushes { pages: 3, all: 0 }),
        (PAGES, Flushes { pages: 0, all: 1 }),
    ] {
        let mut loaded = LoadedSpace::new();
        let range = device(BIG_BYTES);
        for index in 0..PAGES {
            let offset = index * PAGE_SIZE as u64;
            let result = loaded.space.map_physical(index, &range, offset, 1);
            result.expect("a hole");
        }
        (0..touched).for_each(|index| loaded.space.touch(page(index)));
        let flushed = loaded.flushes_of(|space| assert!(space.merge(0)));
        assert_eq!(flushed, expected, "{touched} pages");
    }
}

#[test]
fn a_big_page_takes_the_place_of_tables_that_map_nothing() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let before = frames_in_use();
    space.map_new(page(5), DATA);
    let refused = {
        let (table, mut batch) = space.change();
        VmIterMut::new_mut(table, page(0)).try_map_big(new_big(), DATA, &mut batch)
    };
    assert_eq!(refused, Err(MapError::AlreadyMapped));
    assert!(space.at(page(5)).present());
    space.unmap(page(5));
    assert_eq!(frames_in_use(), (before.0, before.1 + 3));
    let pa = space.map_big(0, DATA);
    assert_eq!(leaf(&space, 0), (Some(pa), 2, DATA));
    assert_eq!(frames_in_use(), (before.0 + ENTRIES, before.1 + 2));
}

#[test]
fn vacating_takes_out_all_empty_tables_below_and_none_that_maps_something() {
    let _machine = machine();
    let mut space = TestSpace::new();
    for index in [0, 3 * PAGES, PAGES * PAGES] {
        space.map_new(page(index), DATA);
        space.unmap(page(index));
    }
    let kept = space.map_new(page(5 * PAGES), DATA);
    let mut vacate = |index| {
        let (table, mut batch) = space.change();
        let mut iter = VmIterMut::new_mut(table, page(index));
        iter.vacate(3, &mut batch);
        let found = (iter.va(), iter.level(), iter.present());
        drop(batch);
        let mut tables = Vec::new();
        let mut table_page = PtIter::new(table);
        while table_page.active() {
            tables.push((table_page.level(), table_page.va()));
            table_page.next();
        }
        (found, tables)
    };
    let (found, tables) = vacate(1);
    assert_eq!(found, (page(1), 2, false));
    assert_eq!(
        tables,
        [
            (1, page(5 * PAGES)),
            (2, page(0)),
            (1, page(PAGES * PAGES)),
            (2, page(PAGES * PAGES)),
            (3, page(0)),
        ]
    );
    let (found, tables) = vacate(PAGES * PAGES);
    assert_eq!(found, (page(PAGES * PAGES), 3, false));
    assert_eq!(tables, [(1, page(5 * PAGES)), (2, page(0)), (3, page(0))]);
    assert_eq!(space.at(page(5 * PAGES)).pa(), Some(kept));
}

#[test]
fn what_fits_no_leaf_is_refused_and_given_back() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let before = frames_in_use();
    let (table, mut batch) = space.change();
    let mut iter = VmIterMut::new_mut(table, page(1));
    assert_eq!(
        iter.try_map_big(new_big(), DATA, &mut batch),
        Err(MapError::NotAligned)
    );
    let odd = frame::alloc_big(4, FrameKind::Anonymous).expect("a block");
    assert_eq!(
        iter.find(page(0)).try_map_big(odd, DATA, &mut batch),
        Err(MapError::NotAligned)
    );
    iter.find(crate::addr::VirtAddr::new(0x4000_0000));
    assert_eq!(
        iter.try_map_big(new_big(), DATA, &mut batch),
        Err(MapError::OutOfRange)
    );
    assert_eq!(frames_in_use().0, before.0);
}

#[test]
fn mapping_a_frame_into_a_big_page_splits_it() {
    let _machine = machine();
    let before = frames_in_use();
    let mut space = TestSpace::new();
    let pa = space.map_big(0, DATA);
    let (table, mut batch) = space.change();
    VmIterMut::new_mut(table, page(6)).map(new_frame(), DATA, &mut batch);
    drop(batch);
    assert_eq!(leaf(&space, 7), (inside(pa, 7), 1, DATA));
    assert_ne!(space.at(page(6)).pa(), inside(pa, 6));
    assert_eq!(frames_in_use().0, before.0 + ENTRIES);
}

fn device(len_bytes: u64) -> PhysicalRange {
    // SAFETY: nobody runs in the spaces of these tests.
    unsafe { PhysicalRange::new(PhysAddr::new(DEVICE), len_bytes) }.expect("whole pages")
}

#[test]
fn a_physical_range_is_mapped_only_as_far_as_it_goes() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let range = device(BIG_BYTES + 2 * PAGE_SIZE as u64);
    let mut map = |index, offset, level| space.map_physical(index, &range, offset, level);
    let page_bytes = PAGE_SIZE as u64;
    assert_eq!(map(0, 0, 3), Err(MapError::OutOfRange));
    assert_eq!(map(0, 0, 0), Err(MapError::OutOfRange));
    assert_eq!(map(0, 0, 9), Err(MapError::OutOfRange));
    assert_eq!(map(0, BIG_BYTES, 2), Err(MapError::OutOfRange));
    assert_eq!(map(0, u64::MAX, 1), Err(MapError::OutOfRange));
    assert_eq!(map(0, page_bytes, 2), Err(MapError::NotAligned));
    assert_eq!(map(1, 0, 2), Err(MapError::NotAligned));
    assert_eq!(map(PAGES, 0, 2), Ok(()));
    assert_eq!(map(PAGES, 0, 2), Err(MapError::AlreadyMapped));
    assert_eq!(map(1, BIG_BYTES + page_bytes, 1), Ok(()));
    assert_eq!(
        space.at(page(1)).pa(),
        Some(PhysAddr::new(DEVICE + BIG_BYTES + page_bytes))
    );
}

#[test]
fn a_part_of_a_physical_range_lies_inside_it() {
    let range = device(0x3000);
    let part = range.part(0x1000, 0x2000).expect("a part");
    assert_eq!(
        (part.start().as_u64(), part.len_bytes()),
        (DEVICE + 0x1000, 0x2000)
    );
    assert_eq!(part.part(0x1000, 0x2000), None);
    assert_eq!(range.part(0x4000, 0), None);
    assert_eq!(range.part(0x1000, u64::MAX & !0xfff), None);
    assert_eq!(range.part(0x800, 0x1000), None);
    assert_eq!(range.part(0x3000, 0).map(PhysicalRange::len_bytes), Some(0));
}
