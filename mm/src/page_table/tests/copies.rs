//! `fork` and `exit`: copies of page tables, and what comes back.

use std::vec::Vec;

use super::{TestSpace, frames_in_use, page};
use crate::addr::{PhysAddr, USER_END, VirtAddr};
use crate::error::MapError;
use crate::frame;
use crate::hw::host::machine;
use crate::page_table::{
    Copying, Perm, PtIter, VmIter, VmIterMut, copy_mappings, copy_mappings_by, free_everything,
};

/// All mappings: address, frame and permissions.
fn mappings(space: &TestSpace) -> Vec<(VirtAddr, Option<PhysAddr>, Perm)> {
    let mut found = Vec::new();
    let mut iter = space.at(page(0));
    while iter.find_mapping(USER_END) {
        found.push((iter.va(), iter.pa(), iter.perm()));
        iter.next();
    }
    found
}

/// A space with a page that is only read, one that is written, and one that only the kernel can use, far apart.
fn parent() -> TestSpace {
    let mut parent = TestSpace::new();
    parent.map_new(page(1), Perm::USER_READ);
    parent.map_new(page(700), Perm::USER_WRITE | Perm::NO_EXECUTE);
    parent.map_new(page(1 << 20), Perm::WRITE);
    parent
}

fn references(space: &TestSpace, va: VirtAddr) -> Option<u32> {
    // The reference that is counted is one too many.
    space
        .at(va)
        .share_frame()
        .map(|frame| frame.references() - 1)
}

#[test]
fn a_copy_maps_what_the_user_can_access_and_shares_its_frames() {
    let _machine = machine();
    let before = frames_in_use();
    let (source, mut destination) = (parent(), TestSpace::new());
    copy_mappings(destination.change().0, source.table()).expect("memory");
    assert_eq!(mappings(&destination), mappings(&source)[..2]);
    assert_eq!(references(&source, page(1)), Some(2));
    assert_eq!(references(&source, page(1 << 20)), Some(1));
    assert_eq!(frames_in_use().0, before.0 + 3);
    drop(source);
    assert_eq!(references(&destination, page(1)), Some(1));
    assert_eq!(frames_in_use().0, before.0 + 2);
    drop(destination);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_copy_on_write_fork_makes_both_sides_read_only() {
    let _machine = machine();
    let (mut source, mut destination) = (parent(), TestSpace::new());
    let policy = |_: VirtAddr, perm: Perm| {
        if perm.contains(Perm::WRITE) {
            Copying::ShareUntilWritten
        } else {
            Copying::Share
        }
    };
    let (table, mut batch) = source.change();
    copy_mappings_by(destination.change().0, table, &mut batch, policy).expect("memory");
    drop(batch);
    let shared = Perm::USER_READ | Perm::NO_EXECUTE | Perm::COPY_ON_WRITE;
    for space in [&source, &destination] {
        assert_eq!(space.at(page(700)).perm(), shared);
        assert_eq!(space.at(page(1)).perm(), Perm::USER_READ);
    }
    assert_eq!(mappings(&destination), mappings(&source)[..2]);
}

#[test]
fn an_eager_fork_copies_what_is_asked_for() {
    let _machine = machine();
    let (mut source, mut destination) = (parent(), TestSpace::new());
    let word = source.at(page(700)).kptr().expect("mapped").cast::<u64>();
    // SAFETY: the page is memory of this test's own.
    unsafe { word.write(0x5eed) };
    let (table, mut batch) = source.change();
    copy_mappings_by(destination.change().0, table, &mut batch, |_, _| {
        Copying::CopyNow
    })
    .expect("memory");
    drop(batch);
    let copy = destination.at(page(700));
    assert_ne!(copy.pa(), source.at(page(700)).pa());
    assert_eq!(copy.perm(), source.at(page(700)).perm());
    let word = copy.kptr().expect("mapped").cast::<u64>();
    // SAFETY: as above.
    assert_eq!(unsafe { word.read() }, 0x5eed);
}

#[test]
fn copying_over_something_is_refused() {
    let _machine = machine();
    let (source, mut destination) = (parent(), TestSpace::new());
    destination.map_new(page(700), Perm::USER_READ);
    assert_eq!(
        copy_mappings(destination.change().0, source.table()),
        Err(MapError::AlreadyMapped)
    );
}

#[test]
fn freeing_everything_leaves_only_the_root() {
    let _machine = machine();
    let mut space = parent();
    let (anonymous, tables) = frames_in_use();
    let (table, mut batch) = space.change();
    free_everything(table, &mut batch);
    assert!(!PtIter::new(table).active());
    assert!(!VmIter::new(table, page(0)).find_mapping(USER_END));
    drop(batch);
    // Two times levels 1, and levels 1 to 3 once more as the third page lies further away: 1+1+2 and 1+2+3, less what
    // they share.
    assert_eq!(frames_in_use(), (anonymous - 3, tables - 6));
}

#[test]
fn a_copy_of_full_tables_has_every_page_and_none_beside_them() {
    let _machine = machine();
    let before = frames_in_use();
    let (mut source, mut destination) = (TestSpace::new(), TestSpace::new());
    // From the middle of a table to the end of the next one, and one page in the one after that.
    for index in (300..1024).chain([1500]) {
        source.map_new(page(index), Perm::USER_READ);
    }
    let (table, mut batch) = source.change();
    copy_mappings_by(destination.change().0, table, &mut batch, |_, _| {
        Copying::Share
    })
    .expect("memory");
    drop(batch);
    assert_eq!(mappings(&destination).len(), 725);
    assert_eq!(mappings(&destination), mappings(&source));
    let used = |space: &TestSpace| {
        let mut tables = PtIter::new(space.table());
        let mut used = Vec::new();
        while tables.active() {
            used.push(tables.used_entries());
            tables.next();
        }
        used
    };
    assert_eq!(used(&destination), [212, 512, 1, 3, 1]);
    drop((source, destination));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn unmapping_the_rest_of_a_table_stops_at_the_end_it_is_given() {
    let _machine = machine();
    let mut space = TestSpace::new();
    for index in [3, 4, 9, 10, 511, 512] {
        space.map_new(page(index), Perm::USER_READ);
    }
    let left_after = |space: &mut TestSpace, first, end| {
        let (table, mut batch) = space.change();
        let mut iter = VmIterMut::new_mut(table, page(first));
        iter.unmap_rest_of_table(page(end), &mut batch);
        drop(batch);
        let left: Vec<_> = mappings(space).iter().map(|mapping| mapping.0).collect();
        left
    };
    assert_eq!(left_after(&mut space, 4, 10), [3, 10, 511, 512].map(page));
    assert_eq!(left_after(&mut space, 10, 2000), [3, 512].map(page));
}

#[test]
fn running_out_of_memory_in_a_copy_is_an_error_and_leaks_nothing() {
    let _machine = machine();
    let before = frames_in_use();
    let (source, mut destination) = (parent(), TestSpace::new());
    let mut hoard = Vec::new();
    while let Ok(frame) = frame::alloc(frame::FrameKind::Kernel) {
        hoard.push(frame);
    }
    assert_eq!(
        copy_mappings(destination.change().0, source.table()),
        Err(MapError::NoMemory)
    );
    drop(hoard);
    drop((source, destination));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_page_shared_by_more_batches_than_can_link_it_comes_back_once() {
    let _machine = machine();
    let before = frames_in_use();
    let mut spaces = [TestSpace::new(), TestSpace::new()];
    let frames: Vec<_> = (0..40).map(|_| super::new_frame()).collect();
    for space in &mut spaces {
        let (table, mut batch) = space.change();
        for (index, frame) in frames.iter().enumerate() {
            VmIterMut::new_mut(table, page(index as u64)).map(
                frame.share(),
                Perm::USER_READ,
                &mut batch,
            );
        }
    }
    drop(frames);
    let [left, right] = &mut spaces;
    let ((left_table, mut left_batch), (right_table, mut right_batch)) =
        (left.change(), right.change());
    free_everything(left_table, &mut left_batch);
    free_everything(right_table, &mut right_batch);
    assert_eq!(frames_in_use().0, before.0 + 40);
    drop((left_batch, right_batch));
    assert_eq!(frames_in_use().0, before.0);
}
