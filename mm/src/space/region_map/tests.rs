mod growth;
mod model;
mod refusals;

use std::vec::Vec;

use abi::REGIONS_MAX;

use super::RegionMap;
use crate::addr::{PAGE_SIZE, USER_START, VirtAddr};
use crate::error::SpaceError;
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};
use crate::space::tests::range;

fn region(page: usize, len_pages: usize, protection: Protection) -> Region {
    Region::anonymous(range(page, len_pages), protection, RegionFlags::empty())
}

fn map_of(regions: &[(usize, usize, Protection)]) -> RegionMap {
    let mut map = RegionMap::new();
    for &(page, len_pages, protection) in regions {
        map.insert(region(page, len_pages, protection)).unwrap();
    }
    map
}

fn page_of(address: VirtAddr) -> usize {
    (address.as_usize() - USER_START.as_usize()) / PAGE_SIZE
}

/// Start and length in pages.
fn extents(map: &RegionMap) -> Vec<(usize, usize)> {
    map.iter()
        .map(|region| (page_of(region.range.start()), region.range.len_pages()))
        .collect()
}

const READ: Protection = Protection::empty();
const WRITE: Protection = Protection::WRITE;

#[test]
fn a_region_is_found_by_each_of_its_addresses_and_no_other() {
    let map = map_of(&[(2, 3, READ), (8, 1, WRITE)]);
    for page in 0..10 {
        for address in [
            range(page, 1).start(),
            VirtAddr::new(range(page, 1).end().as_u64() - 1),
        ] {
            assert_eq!(
                map.find(address).is_some(),
                (2..5).contains(&page) || page == 8,
                "{address}"
            );
        }
    }
}

#[test]
fn overlapping_regions_are_refused_and_change_nothing() {
    let mut map = map_of(&[(2, 3, READ)]);
    for (page, len_pages) in [(2, 3), (0, 3), (4, 2), (3, 1), (0, 10)] {
        assert_eq!(
            map.insert(region(page, len_pages, READ)),
            Err(SpaceError::Overlap)
        );
    }
    assert_eq!(extents(&map), [(2, 3)]);
}

#[test]
fn a_region_that_fills_the_gap_between_two_like_it_makes_one_of_the_three() {
    let map = map_of(&[(0, 2, WRITE), (3, 2, WRITE), (2, 1, WRITE)]);
    assert_eq!(extents(&map), [(0, 5)]);
    let unlike = map_of(&[(0, 2, WRITE), (3, 2, WRITE), (2, 1, READ)]);
    assert_eq!(extents(&unlike), [(0, 2), (2, 1), (3, 2)]);
}

#[test]
fn removing_the_middle_splits_a_region() {
    let mut map = map_of(&[(0, 10, WRITE)]);
    map.remove(range(4, 2)).unwrap();
    assert_eq!(extents(&map), [(0, 4), (6, 4)]);
}

#[test]
fn removing_a_range_over_several_regions_cuts_the_outer_ones() {
    let mut map = map_of(&[(0, 3, WRITE), (3, 1, READ), (5, 4, WRITE)]);
    map.remove(range(2, 4)).unwrap();
    assert_eq!(extents(&map), [(0, 2), (6, 3)]);
    map.remove(range(2, 4)).unwrap();
    assert_eq!(extents(&map), [(0, 2), (6, 3)]);
}

#[test]
fn replacing_puts_one_region_in_the_place_of_parts_of_others() {
    let mut map = map_of(&[(0, 3, WRITE), (3, 3, READ)]);
    map.replace(region(2, 2, READ)).unwrap();
    assert_eq!(extents(&map), [(0, 2), (2, 4)]);
    map.replace(region(3, 1, WRITE)).unwrap();
    assert_eq!(extents(&map), [(0, 2), (2, 1), (3, 1), (4, 2)]);
}

#[test]
fn rights_change_in_a_part_only_and_equal_ones_make_one_region_again() {
    let mut map = map_of(&[(0, 10, WRITE)]);
    map.protect(range(4, 2), READ).unwrap();
    assert_eq!(extents(&map), [(0, 4), (4, 2), (6, 4)]);
    map.protect(range(0, 10), Protection::EXECUTE).unwrap();
    assert_eq!(extents(&map), [(0, 10)]);
    map.set_pinned(range(0, 1), true).unwrap();
    assert_eq!(extents(&map), [(0, 1), (1, 9)]);
    map.set_pinned(range(0, 5), false).unwrap();
    assert_eq!(extents(&map), [(0, 10)]);
}

#[test]
fn a_range_is_covered_if_no_page_of_it_is_outside_of_all_regions() {
    let map = map_of(&[(1, 2, READ), (3, 2, WRITE), (6, 1, READ)]);
    for (page, len_pages, is_covered) in [
        (1, 4, true),
        (2, 2, true),
        (6, 1, true),
        (0, 2, false),
        (4, 2, false),
        (3, 4, false),
        (6, 2, false),
        (8, 1, false),
    ] {
        assert_eq!(
            map.covers(range(page, len_pages)),
            is_covered,
            "{page} {len_pages}"
        );
    }
}

#[test]
fn there_are_no_more_regions_than_can_soon_be_gone_through() {
    let mut map = RegionMap::new();
    for number in 0..REGIONS_MAX {
        map.insert(region(2 * number, 1, WRITE)).unwrap();
    }
    let one_more = map.insert(region(1, 1, READ));
    assert_eq!(one_more, Err(SpaceError::NoMemory));
    map.remove(range(0, 1)).unwrap();
    map.insert(region(1, 1, READ)).unwrap();
    assert_eq!(map.iter().count(), REGIONS_MAX);
}

#[test]
fn many_regions_become_one_at_once() {
    let mut map = RegionMap::new();
    for number in 0..REGIONS_MAX {
        let protection = if number % 2 == 0 { READ } else { WRITE };
        map.insert(region(number, 1, protection)).unwrap();
    }
    map.protect(range(1, REGIONS_MAX - 2), READ).unwrap();
    assert_eq!(extents(&map), [(0, REGIONS_MAX - 1), (REGIONS_MAX - 1, 1)]);
}
