//! What region maps refuse, and that it changes nothing.

use super::{READ, WRITE, extents, map_of, region};
use crate::addr::VirtAddr;
use crate::error::SpaceError;
use crate::space::file_backing::FileBacking;
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};
use crate::space::shared_pages::SharedPages;
use crate::space::tests::{address, imaginary_memory, range};

fn physical(len_pages: usize) -> Region {
    Region::physical(address(10), WRITE, imaginary_memory(100, len_pages)).unwrap()
}

#[test]
fn what_is_pinned_is_neither_removed_nor_moved_and_can_be_protected() {
    let mut map = map_of(&[(0, 10, WRITE)]);
    map.set_pinned(range(4, 2), true).unwrap();
    for (page, len_pages) in [(0, 10), (5, 1), (3, 2), (5, 5)] {
        let touching = range(page, len_pages);
        assert_eq!(map.remove(touching), Err(SpaceError::Pinned));
        assert_eq!(map.check_movable(touching), Err(SpaceError::Pinned));
    }
    assert_eq!(extents(&map), [(0, 4), (4, 2), (6, 4)]);
    assert_eq!(map.check_movable(range(0, 4)), Ok(()));
    assert_eq!(map.protect(range(0, 10), READ), Ok(()));
    assert_eq!(map.remove(range(0, 4)), Ok(()));
    assert_eq!(map.set_pinned(range(4, 6), false), Ok(()));
    assert_eq!(map.remove(range(0, 20)), Ok(()));
    assert_eq!(extents(&map), []);
}

#[test]
fn holes_may_be_removed_but_not_protected_pinned_or_moved() {
    let mut map = map_of(&[(2, 2, WRITE), (6, 2, WRITE)]);
    for (page, len_pages) in [(0, 2), (0, 4), (3, 2), (2, 6), (7, 2), (5, 1)] {
        let with_hole = range(page, len_pages);
        let refused = Err(SpaceError::NotMapped);
        assert_eq!(map.protect(with_hole, READ), refused);
        assert_eq!(map.set_pinned(with_hole, true), refused);
        assert_eq!(map.check_movable(with_hole), refused);
    }
    assert_eq!(extents(&map), [(2, 2), (6, 2)]);
    assert_eq!(map.remove(range(4, 2)), Ok(()));
    assert_eq!(map.remove(range(3, 4)), Ok(()));
    assert_eq!(extents(&map), [(2, 1), (7, 1)]);
}

#[test]
fn users_are_not_let_into_what_is_the_kernels() {
    let kernel = WRITE | Protection::KERNEL;
    let mut map = map_of(&[(0, 2, WRITE), (2, 2, kernel), (4, 2, WRITE)]);
    let refused = map.protect(range(1, 4), READ);
    assert_eq!(refused, Err(SpaceError::KernelOnly));
    assert_eq!(extents(&map), [(0, 2), (2, 2), (4, 2)]);
    assert_eq!(map.protect(range(0, 6), Protection::KERNEL), Ok(()));
    assert_eq!(extents(&map), [(0, 6)]);
}

#[test]
fn physical_memory_is_the_kernels_and_as_long_as_its_region() {
    let for_users = Region {
        protection: WRITE,
        ..physical(2)
    };
    let [too_long, too_short] = [3, 1].map(|len_pages| Region {
        range: range(10, len_pages),
        ..physical(2)
    });
    for (region, refusal) in [
        (for_users, SpaceError::KernelOnly),
        (too_long, SpaceError::WrongLength),
        (too_short, SpaceError::WrongLength),
    ] {
        let mut map = map_of(&[]);
        assert_eq!(map.insert(region), Err(refusal));
        assert_eq!(extents(&map), []);
    }
    let nothing = Region::physical(address(0), WRITE, imaginary_memory(100, 0));
    assert_eq!(nothing.map(drop), Err(SpaceError::Empty));
    let below = Region::physical(VirtAddr::new(0x1000), WRITE, imaginary_memory(100, 1));
    assert_eq!(below.map(drop), Err(SpaceError::KernelHalf));
}

#[test]
fn only_plain_anonymous_memory_grows_and_one_way_only() {
    let plain = || region(10, 2, WRITE);
    let memory = FileBacking::shared(SharedPages::new(2).unwrap(), 0).unwrap();
    let shared = Region::file(range(10, 2), WRITE, memory);
    let page_alloc = plain().with_flags(RegionFlags::PAGE_ALLOC);
    let both_ways = plain().growing_down(None).growing_up(None);
    let limit = |page| Some(address(page));
    let no_growth = Region {
        growth_limit: limit(4),
        ..plain()
    };
    let unaligned = VirtAddr::new(address(4).as_u64() + 1);
    for (region, refusal) in [
        (physical(2).growing_up(None), SpaceError::NotGrowable),
        (shared.growing_down(None), SpaceError::NotGrowable),
        (page_alloc.growing_up(None), SpaceError::NotGrowable),
        (both_ways, SpaceError::NotGrowable),
        (no_growth, SpaceError::NotGrowable),
        (plain().growing_down(limit(11)), SpaceError::NotGrowable),
        (plain().growing_up(limit(11)), SpaceError::NotGrowable),
        (plain().growing_down(Some(unaligned)), SpaceError::Unaligned),
    ] {
        let mut map = map_of(&[]);
        assert_eq!(map.insert(region.clone()), Err(refusal), "{region}");
        assert_eq!(extents(&map), []);
    }
    for region in [
        plain().growing_down(limit(10)),
        plain().growing_down(limit(0)),
        plain().growing_up(limit(12)),
        plain().growing_up(None),
    ] {
        assert_eq!(map_of(&[]).insert(region.clone()), Ok(()), "{region}");
    }
}
