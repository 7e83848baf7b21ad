use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::{Strategy, prop, prop_oneof, proptest};

use super::RegionMap;
use crate::addr::{PAGE_SIZE, USER_START, UserRange, VirtAddr};
use crate::error::SpaceError;
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};

const PAGES: usize = 24;

fn range(page: usize, len_pages: usize) -> UserRange {
    UserRange::page_aligned(
        USER_START.as_usize() + page * PAGE_SIZE,
        len_pages * PAGE_SIZE,
    )
    .unwrap()
}

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

/// Start and length in pages.
fn extents(map: &RegionMap) -> Vec<(usize, usize)> {
    let page_of = |address: VirtAddr| (address.as_usize() - USER_START.as_usize()) / PAGE_SIZE;
    map.overlapping(UserRange::all())
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

#[derive(Clone, Debug)]
enum Operation {
    Insert {
        page: usize,
        len_pages: usize,
        bits: u8,
    },
    Replace {
        page: usize,
        len_pages: usize,
        bits: u8,
    },
    Remove {
        page: usize,
        len_pages: usize,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let extent = (0..PAGES, 1..6_usize);
    prop_oneof![
        (extent.clone(), 0..4_u8).prop_map(|((page, len_pages), bits)| Operation::Insert {
            page,
            len_pages,
            bits
        }),
        (extent.clone(), 0..4_u8).prop_map(|((page, len_pages), bits)| Operation::Replace {
            page,
            len_pages,
            bits
        }),
        extent.prop_map(|(page, len_pages)| Operation::Remove { page, len_pages }),
    ]
}

proptest! {
    #[test]
    fn any_sequence_leaves_what_a_map_from_pages_to_rights_would(
        operations in prop::collection::vec(operation(), 1..60)
    ) {
        let mut map = RegionMap::new();
        let mut model = BTreeMap::<usize, u8>::new();
        for operation in operations {
            match operation {
                Operation::Insert { page, len_pages, bits } => {
                    let is_free = (page..page + len_pages).all(|page| !model.contains_key(&page));
                    let result = map.insert(region(page, len_pages, Protection::from_bits_retain(bits)));
                    assert_eq!(result, if is_free { Ok(()) } else { Err(SpaceError::Overlap) });
                    if is_free {
                        model.extend((page..page + len_pages).map(|page| (page, bits)));
                    }
                }
                Operation::Replace { page, len_pages, bits } => {
                    map.replace(region(page, len_pages, Protection::from_bits_retain(bits))).unwrap();
                    model.extend((page..page + len_pages).map(|page| (page, bits)));
                }
                Operation::Remove { page, len_pages } => {
                    map.remove(range(page, len_pages)).unwrap();
                    model.retain(|at, _| !(page..page + len_pages).contains(at));
                }
            }
            check(&map, &model);
        }
    }
}

/// REGION-1, REGION-2, and the same rights for each page.
fn check(map: &RegionMap, model: &BTreeMap<usize, u8>) {
    for page in 0..PAGES + 8 {
        let found = map
            .find(range(page, 1).start())
            .map(|region| region.protection.bits());
        assert_eq!(found, model.get(&page).copied(), "page {page}");
    }
    let regions: Vec<&Region> = map.overlapping(UserRange::all()).collect();
    for pair in regions.windows(2) {
        assert!(pair[0].range.end() <= pair[1].range.start(), "REGION-1");
        assert!(pair[0].merged_with(pair[1]).is_none(), "REGION-2");
    }
}
