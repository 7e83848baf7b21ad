//! Merging small pages into big ones.

use std::vec::Vec;

use super::big::{BIG_BYTES, DATA, PAGES, device, inside, leaf, new_big};
use super::rights::LoadedSpace;
use super::{TestSpace, frames_in_use, page};
use crate::addr::PAGE_SIZE;
use crate::frame::{self, Frame, FrameKind};
use crate::hw::host::{Flushes, machine};
use crate::page_table::{ENTRIES, Perm, VmIterMut};

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
