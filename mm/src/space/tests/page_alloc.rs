//! `page_alloc`.

use std::sync::Arc;

use super::{LAZY, WRITE, address, anonymous_frames, frames_in_use, load, range, store};
use crate::error::SpaceError;
use crate::frame::accounts;
use crate::hw::host::machine;
use crate::space::{FaultAccess, FaultError, ForkPolicy, Region, Space};

#[test]
fn fresh_pages_are_there_at_once_and_zero() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let before = anonymous_frames();
    space.page_alloc(range(3, 2)).unwrap();
    assert_eq!(anonymous_frames(), before + 2);
    store(&space, 4, 9).unwrap();
    assert_eq!([load(&space, 3), load(&space, 4)], [Ok(0), Ok(9)]);
    assert_eq!(
        space.fault(address(3), FaultAccess::EXECUTE),
        Err(FaultError::Permission)
    );
}

#[test]
fn a_page_allocated_again_is_fresh_and_nothing_leaks() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space.page_alloc(range(0, 3)).unwrap();
    let before = frames_in_use();
    (0..3).for_each(|page| store(&space, page, 5).unwrap());
    space.page_alloc(range(1, 1)).unwrap();
    assert_eq!([0, 1, 2].map(|page| load(&space, page).unwrap()), [5, 0, 5]);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_range_may_be_partly_allocated_already() {
    let _machine = machine();
    let space = Space::new().unwrap();
    for page in [1, 3] {
        space.page_alloc(range(page, 1)).unwrap();
        store(&space, page, 5).unwrap();
    }
    let before = anonymous_frames();
    space.page_alloc(range(0, 5)).unwrap();
    assert_eq!(anonymous_frames(), before + 3);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|page| load(&space, page).unwrap()),
        [0; 5]
    );
}

#[test]
fn other_regions_are_refused_and_keep_what_they_have() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space
        .add(Region::anonymous(range(2, 1), WRITE, LAZY))
        .unwrap();
    store(&space, 2, 8).unwrap();
    let before = frames_in_use();
    for (page, len_pages) in [(2, 1), (1, 2), (2, 2), (0, 5)] {
        assert_eq!(
            space.page_alloc(range(page, len_pages)),
            Err(SpaceError::Overlap)
        );
    }
    assert_eq!(
        (load(&space, 2), load(&space, 1).is_err(), frames_in_use()),
        (Ok(8), true, before)
    );
}

#[test]
fn a_pinned_page_is_not_replaced() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space.page_alloc(range(0, 3)).unwrap();
    store(&space, 1, 5).unwrap();
    space.set_pinned(range(1, 1), true).unwrap();
    assert_eq!(space.page_alloc(range(0, 3)), Err(SpaceError::Pinned));
    assert_eq!(load(&space, 1), Ok(5));
    space.set_pinned(range(1, 1), false).unwrap();
    space.page_alloc(range(0, 3)).unwrap();
    assert_eq!(load(&space, 1), Ok(0));
}

#[test]
fn a_page_that_a_fork_shares_is_replaced_in_one_space_only() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space.page_alloc(range(0, 1)).unwrap();
    store(&space, 0, 6).unwrap();
    let child = space.fork(ForkPolicy::CopyOnWrite).unwrap();
    child.page_alloc(range(0, 1)).unwrap();
    assert_eq!((load(&space, 0), load(&child, 0)), (Ok(6), Ok(0)));
    store(&child, 0, 7).unwrap();
    assert_eq!((load(&space, 0), load(&child, 0)), (Ok(6), Ok(7)));
}

/// A space with page 600 allocated, which holds 5.
fn space_with_a_page_in_the_way() -> Arc<Space> {
    let space = Space::new().unwrap();
    space.page_alloc(range(600, 1)).unwrap();
    store(&space, 600, 5).unwrap();
    space
}

#[test]
fn a_range_for_which_memory_is_short_changes_nothing() {
    let _machine = machine();
    let space = space_with_a_page_in_the_way();
    let before = anonymous_frames();
    let free = accounts().free;
    // The second leaves memory for all pages but not for their page tables.
    for len_pages in [free + 1, free - 1] {
        assert_eq!(
            space.page_alloc(range(0, len_pages)),
            Err(SpaceError::NoMemory),
            "{len_pages} of {free}"
        );
        assert_eq!(anonymous_frames(), before);
        assert_eq!((load(&space, 600), load(&space, 0).is_err()), (Ok(5), true));
        assert!(load(&space, 599).is_err() && load(&space, 601).is_err());
    }
    space.page_alloc(range(0, 700)).unwrap();
    assert_eq!(load(&space, 600), Ok(0));
}
