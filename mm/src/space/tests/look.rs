//! Looks at the pages of a space from outside.

use std::vec::Vec;

use super::{WRITE, address, range, space_with, store};
use crate::addr::{USER_START, VirtAddr};
use crate::aspace::AddressSpace;
use crate::frame::FrameKind;
use crate::hw::host::machine;
use crate::page_table::Perm;
use crate::space::{ForkPolicy, Look, Protection, SeenPage, Space};

fn look(space: &Space, start: VirtAddr, most: usize) -> (Look, Vec<SeenPage>) {
    let mut seen = Vec::new();
    let look = space.look_at_pages(start, most, &mut |page| seen.push(page));
    (look, seen)
}

fn seen(space: &Space) -> Vec<SeenPage> {
    let (look, seen) = look(space, USER_START, 100);
    assert_eq!(look, Look::Ended);
    seen
}

#[test]
fn a_look_sees_what_is_mapped_where_for_what_and_with_which_rights() {
    let _machine = machine();
    let space = space_with(0, 600, WRITE);
    for page in [1, 2, 599] {
        store(&space, page, 7).unwrap();
    }
    space.protect(range(2, 1), Protection::empty()).unwrap();
    let pages: Vec<_> = seen(&space)
        .iter()
        .map(|page| (page.va, page.perm.contains(Perm::WRITE), page.is_shared))
        .collect();
    let expected = [(1, true), (2, false), (599, true)];
    assert_eq!(
        pages,
        expected.map(|(page, writable)| (address(page), writable, false))
    );
    for page in seen(&space) {
        assert_eq!((page.kind, page.len_pages), (Some(FrameKind::Anonymous), 1));
        assert!(page.perm.contains(Perm::USER | Perm::NO_EXECUTE));
        let mut last = None;
        space.walk(page.va, &mut |_, entry| last = Some(entry.pa()));
        assert_eq!(last, Some(page.pa));
    }
}

#[test]
fn a_look_stops_after_as_many_pages_as_it_may_see_and_goes_on_from_there() {
    let _machine = machine();
    let space = space_with(0, 600, WRITE);
    for page in [0, 1, 300, 599] {
        store(&space, page, 7).unwrap();
    }
    let (first_look, first) = look(&space, USER_START, 3);
    let Look::Stopped(start) = first_look else {
        panic!("{first_look:?}")
    };
    let (second_look, second) = look(&space, start, 3);
    assert_eq!(second_look, Look::Ended);
    let all: Vec<_> = first.iter().chain(&second).map(|page| page.va).collect();
    assert_eq!(all, [0, 1, 300, 599].map(address));
}

#[test]
fn what_a_fork_shares_is_seen_as_shared_until_it_is_written() {
    let _machine = machine();
    for policy in [ForkPolicy::Shared, ForkPolicy::CopyOnWrite] {
        let parent = space_with(0, 2, WRITE);
        store(&parent, 0, 7).unwrap();
        store(&parent, 1, 7).unwrap();
        let child = parent.fork(policy).unwrap();
        store(&child, 1, 8).unwrap();
        let shared = |space| seen(space).iter().map(|page| page.is_shared).collect();
        let of_child: Vec<bool> = shared(&child);
        assert_eq!(of_child, [true, false], "{policy:?}");
        child.destroy();
    }
}

#[test]
fn a_space_that_somebody_changes_is_busy_and_a_destroyed_one_is_empty() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    store(&space, 0, 7).unwrap();
    let writer = space.memory.write();
    assert_eq!(look(&space, USER_START, 1).0, Look::Busy);
    drop(writer);
    assert_eq!(seen(&space).len(), 1);
    AddressSpace::destroy(&*space);
    assert_eq!(seen(&space).len(), 0);
}
