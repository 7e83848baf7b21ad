//! Regions in big pages: forks, and changes of a part.

use std::sync::Arc;

use super::{LAZY, READ, WRITE, frames_in_use, load, range, store};
use crate::hw::host::machine;
use crate::space::{ForkPolicy, Region, RegionFlags, Space};

/// Pages of 4 KiB in one of 2 MiB.
const LARGE: usize = 512;

/// A space with an eager region of two big pages and three small ones.
fn space_with_big_pages() -> Arc<Space> {
    let space = Space::new().unwrap();
    let region = Region::anonymous(range(0, 2 * LARGE + 3), WRITE, RegionFlags::EAGER);
    space.add(region).unwrap();
    space
}

/// How many leaves of 4 KiB and of 2 MiB there are.
fn leaves(space: &Space) -> [usize; 2] {
    let leaves = space.leaves(range(0, 4 * LARGE));
    [1, 2].map(|level| leaves.of_level(level))
}

#[test]
fn an_eager_region_has_the_largest_pages_that_fit() {
    let _machine = machine();
    let before = frames_in_use();
    let space = space_with_big_pages();
    assert_eq!(leaves(&space), [3, 2]);
    assert_eq!(frames_in_use()[0], before[0] + 2 * LARGE + 3);
    assert_eq!(load(&space, LARGE + 7), Ok(0));
    let lazy = Space::new().unwrap();
    lazy.add(Region::anonymous(range(0, LARGE), WRITE, LAZY))
        .unwrap();
    assert_eq!(leaves(&lazy), [0, 0]);
    drop((space, lazy));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn neither_parent_nor_child_of_a_fork_sees_what_the_other_stores_in_a_big_page() {
    let _machine = machine();
    let before = frames_in_use();
    for policy in [
        ForkPolicy::Shared,
        ForkPolicy::Naive,
        ForkPolicy::Eager,
        ForkPolicy::CopyOnWrite,
    ] {
        let parent = space_with_big_pages();
        store(&parent, 5, 1).unwrap();
        let child = parent.fork(policy).unwrap();
        assert_eq!(leaves(&child), [3, 2], "{policy:?}");
        store(&child, 5, 2).unwrap();
        store(&parent, 6, 3).unwrap();
        store(&parent, LARGE + 6, 4).unwrap();
        let words = |space: &Arc<Space>| [5, 6, LARGE + 6].map(|page| load(space, page).unwrap());
        assert_eq!(
            (words(&parent), words(&child)),
            ([1, 3, 4], [2, 0, 0]),
            "{policy:?}"
        );
        drop(parent);
        assert_eq!(words(&child), [2, 0, 0], "{policy:?}");
        drop(child);
        assert_eq!(frames_in_use(), before, "{policy:?}");
    }
}

#[test]
fn a_store_to_a_big_page_shared_by_a_fork_copies_4_kib_and_splits_that_page_only() {
    let _machine = machine();
    for policy in [ForkPolicy::Shared, ForkPolicy::CopyOnWrite] {
        let parent = space_with_big_pages();
        let child = parent.fork(policy).unwrap();
        let before = frames_in_use();
        store(&child, 5, 2).unwrap();
        assert_eq!(frames_in_use()[0], before[0] + 1, "{policy:?}");
        assert_eq!(leaves(&child), [3 + LARGE, 1], "{policy:?}");
        assert_eq!(leaves(&parent), [3, 2], "{policy:?}");
    }
}

#[test]
fn the_last_of_several_owners_gets_its_big_page_back_whole() {
    let _machine = machine();
    for policy in [ForkPolicy::Shared, ForkPolicy::CopyOnWrite] {
        let parent = space_with_big_pages();
        drop(parent.fork(policy).unwrap());
        let before = frames_in_use();
        store(&parent, 5, 2).unwrap();
        assert_eq!(frames_in_use(), before, "{policy:?}");
        assert_eq!(leaves(&parent), [3, 2], "{policy:?}");
    }
}

#[test]
fn removing_a_part_of_a_big_page_splits_it_and_keeps_the_rest() {
    let _machine = machine();
    let before = frames_in_use();
    let space = space_with_big_pages();
    store(&space, 3, 7).unwrap();
    space.remove(range(4, LARGE)).unwrap();
    assert_eq!(leaves(&space), [4 + LARGE - 4 + 3, 0]);
    assert_eq!(load(&space, 3), Ok(7));
    assert!(load(&space, 4).is_err() && load(&space, LARGE + 3).is_err());
    assert_eq!(load(&space, LARGE + 4), Ok(0));
    assert_eq!(frames_in_use()[0], before[0] + LARGE + 3);
    drop(space);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn rights_that_are_equal_again_make_one_big_page_again() {
    let _machine = machine();
    let space = space_with_big_pages();
    store(&space, 3, 7).unwrap();
    let before = frames_in_use();
    space.protect(range(2, 1), READ).unwrap();
    assert_eq!(leaves(&space), [3 + LARGE, 1]);
    assert!(store(&space, 2, 1).is_err());
    space.protect(range(2, 1), WRITE).unwrap();
    assert_eq!(leaves(&space), [3, 2]);
    assert_eq!(frames_in_use(), before);
    assert_eq!((load(&space, 3), store(&space, 2, 1)), (Ok(7), Ok(())));
}
