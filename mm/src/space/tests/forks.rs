//! Forks of all kinds.

use std::vec::Vec;

use smp::irq;

use super::{WRITE, address, anonymous_frames, frames_in_use, load, range, space_with, store};
use crate::addr::VirtAddr;
use crate::aspace::AddressSpace;
use crate::frame::{Frame, FrameKind, accounts, alloc};
use crate::hw::host::{flushes, machine};
use crate::hw::user_access::host::translate;
use crate::space::{ForkPolicy, Protection, Region, RegionFlags, activate};

const SEPARATE: [ForkPolicy; 4] = [
    ForkPolicy::Shared,
    ForkPolicy::Naive,
    ForkPolicy::Eager,
    ForkPolicy::CopyOnWrite,
];

/// Those that need no memory by page.
const SHARING: [ForkPolicy; 2] = [ForkPolicy::Shared, ForkPolicy::CopyOnWrite];

#[test]
fn neither_parent_nor_child_sees_what_the_other_stores() {
    let _machine = machine();
    for policy in SEPARATE {
        let parent = space_with(0, 4, WRITE);
        store(&parent, 0, 1).unwrap();
        store(&parent, 1, 2).unwrap();
        let child = parent.fork(policy).unwrap();
        store(&parent, 0, 10).unwrap();
        store(&child, 1, 20).unwrap();
        store(&child, 2, 30).unwrap();
        let pages = |space| [0, 1, 2].map(|page| load(space, page).unwrap());
        assert_eq!(
            (pages(&parent), pages(&child)),
            ([10, 2, 0], [1, 20, 30]),
            "{policy:?}"
        );
    }
}

#[test]
fn a_fork_that_copies_mappings_only_shares_all_memory() {
    let _machine = machine();
    let parent = space_with(0, 1, WRITE);
    store(&parent, 0, 1).unwrap();
    let child = parent.fork(ForkPolicy::MappingsOnly).unwrap();
    store(&child, 0, 2).unwrap();
    assert_eq!(load(&parent, 0), Ok(2));
}

#[test]
fn naive_copies_all_pages_eager_those_that_can_be_written_and_copy_on_write_none() {
    let _machine = machine();
    let parent = space_with(0, 5, WRITE);
    parent
        .add(Region::anonymous(
            range(8, 3),
            Protection::empty(),
            RegionFlags::EAGER,
        ))
        .unwrap();
    (0..5).for_each(|page| store(&parent, page, 1).unwrap());
    let before = anonymous_frames();
    let copied = SEPARATE.map(|policy| {
        let _child = parent.fork(policy).unwrap();
        anonymous_frames() - before
    });
    assert_eq!(copied, [0, 8, 5, 0]);
}

#[test]
fn the_last_of_several_owners_gets_its_page_back_without_a_copy() {
    let _machine = machine();
    let parent = space_with(0, 1, WRITE);
    store(&parent, 0, 1).unwrap();
    let child = parent.fork(ForkPolicy::CopyOnWrite).unwrap();
    let before = anonymous_frames();
    store(&child, 0, 2).unwrap();
    assert_eq!(anonymous_frames(), before + 1);
    let flushed = flushes();
    store(&parent, 0, 3).unwrap();
    assert_eq!(anonymous_frames(), before + 1);
    // Nothing but changing from the child's space to the parent's.
    assert_eq!(flushes().pages, flushed.pages);
    assert_eq!(flushes().all, flushed.all + 1);
    assert_eq!((load(&parent, 0), load(&child, 0)), (Ok(3), Ok(2)));
}

#[test]
fn the_page_with_the_stack_pointer_is_copied_at_once_and_neither_faults_on_it() {
    let _machine = machine();
    let parent = space_with(0, 3, WRITE);
    (0..3).for_each(|page| store(&parent, page, 1).unwrap());
    let before = anonymous_frames();
    let stack_pointer = VirtAddr::new(address(1).as_u64() + 40);
    let child = parent
        .fork_at(ForkPolicy::CopyOnWrite, stack_pointer)
        .unwrap();
    assert_eq!(anonymous_frames(), before + 1);
    for space in [&parent, &child] {
        activate(space, &irq::disable());
        let can_be_written = [0, 1, 2].map(|page| translate(address(page), true).is_some());
        assert_eq!(can_be_written, [false, true, false]);
    }
    store(&child, 1, 2).unwrap();
    assert_eq!((load(&parent, 1), load(&child, 1)), (Ok(1), Ok(2)));
}

/// Their stores go on until the flush, and the copy must not have some of them and miss older ones.
#[test]
fn while_other_threads_are_in_the_space_nothing_is_copied() {
    let _machine = machine();
    let parent = space_with(0, 3, WRITE);
    (0..3).for_each(|page| store(&parent, page, 1).unwrap());
    (0..2).for_each(|_| AddressSpace::add_thread(&*parent));
    let before = anonymous_frames();
    for policy in SEPARATE {
        let child = parent.fork_at(policy, address(1)).unwrap();
        assert_eq!(anonymous_frames(), before, "{policy:?}");
        store(&child, 1, 2).unwrap();
        assert_eq!((load(&parent, 1), load(&child, 1)), (Ok(1), Ok(2)));
    }
    AddressSpace::remove_thread(&*parent);
    store(&parent, 1, 1).unwrap();
    let _child = parent.fork_at(ForkPolicy::Shared, address(1)).unwrap();
    assert_eq!(anonymous_frames(), before + 1);
}

#[test]
fn grandchildren_are_separate_too_in_any_order_of_death() {
    let _machine = machine();
    let before = frames_in_use();
    for order in 0..3 {
        let mut spaces = vec![space_with(0, 2, WRITE)];
        store(&spaces[0], 0, 1).unwrap();
        for _ in 0..2 {
            let child = spaces
                .last()
                .unwrap()
                .fork(ForkPolicy::CopyOnWrite)
                .unwrap();
            spaces.push(child);
        }
        spaces.remove(order);
        store(&spaces[0], 0, 5).unwrap();
        assert_eq!((load(&spaces[0], 0), load(&spaces[1], 0)), (Ok(5), Ok(1)));
    }
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_fork_for_which_memory_is_short_gives_all_of_it_back() {
    let _machine = machine();
    for policy in SEPARATE {
        let parent = space_with(0, 2000, WRITE);
        (0..2000)
            .step_by(50)
            .for_each(|page| store(&parent, page, page as u64).unwrap());
        let before = frames_in_use();
        // From none to a few: it fails at every step that needs memory.
        for len_left in 0..8 {
            let mut hoard = hoard_all_but(len_left);
            let child = parent.fork(policy);
            assert!(
                child.is_err() || SHARING.contains(&policy),
                "{policy:?}, {len_left} left"
            );
            drop(child);
            hoard.clear();
            assert_eq!(frames_in_use(), before, "{policy:?}, {len_left} left");
        }
        for page in (0..2000).step_by(50) {
            assert_eq!(load(&parent, page), Ok(page as u64));
            store(&parent, page, 1).unwrap();
        }
        assert_eq!(
            frames_in_use(),
            before,
            "{policy:?}: a store after the failure needs no copy"
        );
    }
}

/// Takes all free frames that this CPU can have, but for `len_left`.
fn hoard_all_but(len_left: usize) -> Vec<Frame> {
    let mut hoard: Vec<Frame> = core::iter::from_fn(|| alloc(FrameKind::Pipe).ok()).collect();
    // Other CPUs may have some in their caches.
    let out_of_reach = accounts().free;
    hoard.truncate(hoard.len() - len_left);
    assert_eq!(accounts().free, out_of_reach + len_left);
    hoard
}
