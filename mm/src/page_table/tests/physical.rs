//! Mapping physical ranges.

use super::big::{BIG_BYTES, DEVICE, PAGES, device};
use super::{TestSpace, page};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::MapError;
use crate::hw::host::machine;
use crate::page_table::{PhysicalRange, set_highest_leaf_level};

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
    assert_eq!(range.part(0x1000, !0xfff), None);
    assert_eq!(range.part(0x800, 0x1000), None);
    assert_eq!(range.part(0x3000, 0).map(PhysicalRange::len_bytes), Some(0));
}

#[test]
fn a_machine_without_1_gib_pages_gets_none() {
    let _machine = machine();
    let mut space = TestSpace::new();
    let range = device(PAGES * BIG_BYTES);
    set_highest_leaf_level(2);
    let mapped = [3, 2].map(|level| space.map_physical(0, &range, 0, level));
    for index in 1..PAGES {
        let offset = index * BIG_BYTES;
        let result = space.map_physical(index * PAGES, &range, offset, 2);
        result.expect("a hole");
    }
    let merged = space.merge(0);
    set_highest_leaf_level(3);
    assert_eq!(mapped, [Err(MapError::OutOfRange), Ok(())]);
    assert_eq!((merged, space.merge(0)), (false, true));
}
