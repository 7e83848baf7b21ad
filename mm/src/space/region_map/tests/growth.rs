//! Regions that grow, and the room that is found for new ones.

use super::{READ, WRITE, extents, map_of, region};
use crate::addr::{PAGE_SIZE, USER_END, USER_START, UserRange, VirtAddr};
use crate::space::backing::Backing;
use crate::space::region::Region;
use crate::space::region_map::{GUARD_PAGES, RegionMap};
use crate::space::tests::{address, range};

/// Where things lie: far enough from everything.
const FAR: usize = 1000;

fn map_with(regions: impl IntoIterator<Item = Region>) -> RegionMap {
    let mut map = map_of(&[]);
    for region in regions {
        map.insert(region).unwrap();
    }
    map
}

/// All of user space from `page` on, as one region.
fn everything_from(page: usize) -> Region {
    let range = UserRange::all().split_at(address(page)).unwrap().1;
    Region::new(range, READ, Backing::Anonymous)
}

/// Whether `page` is in a region after it has been touched.
fn reaches(map: &mut RegionMap, page: usize) -> bool {
    let inside = VirtAddr::new(address(page).as_u64() + 8);
    map.grow_to(inside)
        .map(|region| assert!(region.range.contains(inside)))
        .is_some()
}

#[test]
fn a_stack_grows_down_to_the_page_that_was_touched_and_no_farther_than_its_limit() {
    let stack = region(FAR, 2, WRITE).growing_down(Some(address(FAR - 50)));
    let mut map = map_with([stack]);
    assert!(reaches(&mut map, FAR - 3));
    assert_eq!(extents(&map), [(FAR - 3, 5)]);
    assert!(!reaches(&mut map, FAR - 51) && reaches(&mut map, FAR - 50));
    assert!(!reaches(&mut map, FAR + 2));
    assert_eq!(extents(&map), [(FAR - 50, 52)]);
}

#[test]
fn what_grows_up_stops_where_its_end_would_pass_the_limit() {
    let heap = region(FAR, 2, WRITE).growing_up(Some(address(FAR + 10)));
    let mut map = map_with([heap]);
    assert!(!reaches(&mut map, FAR - 1) && !reaches(&mut map, FAR + 10));
    assert!(reaches(&mut map, FAR + 9));
    assert_eq!(extents(&map), [(FAR, 10)]);
}

#[test]
fn growth_leaves_a_gap_before_the_neighbour() {
    let below = region(FAR - 100, 10, READ);
    let mut map = map_with([below, region(FAR, 1, WRITE).growing_down(None)]);
    let lowest = FAR - 90 + GUARD_PAGES;
    assert!(!reaches(&mut map, lowest - 1) && reaches(&mut map, lowest));

    let above = region(FAR + 100, 10, READ);
    let mut map = map_with([region(FAR, 1, WRITE).growing_up(None), above]);
    let highest = FAR + 99 - GUARD_PAGES;
    assert!(!reaches(&mut map, highest + 1) && reaches(&mut map, highest));
}

#[test]
fn a_neighbour_may_come_to_lie_in_the_gap_and_stops_all_growth() {
    let stack = region(FAR, 2, WRITE).growing_down(None);
    let mut map = map_with([region(FAR - 3, 1, READ), stack]);
    assert!(!reaches(&mut map, FAR - 1) && !reaches(&mut map, FAR - 2));
    map.insert(region(FAR - 1, 1, READ)).unwrap();
    assert_eq!(extents(&map), [(FAR - 3, 1), (FAR - 1, 1), (FAR, 2)]);
}

#[test]
fn growth_ends_where_user_space_ends() {
    let last_page = VirtAddr::new(USER_END.as_u64() - PAGE_SIZE as u64);
    let mut map = map_with([region(FAR, 2, WRITE).growing_up(None)]);
    assert!(map.grow_to(USER_END).is_none());
    assert_eq!(map.grow_to(last_page).unwrap().range.end(), USER_END);

    let mut map = map_with([region(FAR, 2, WRITE).growing_down(None)]);
    let below = VirtAddr::new(USER_START.as_u64() - 1);
    assert!(map.grow_to(below).is_none());
    assert!(reaches(&mut map, 0));
}

#[test]
fn the_nearest_of_two_grows_unless_only_the_other_may() {
    // Pages FAR + 1 to FAR + 99 are between them.
    let heap = || region(FAR, 1, WRITE).growing_up(None);
    let stack = || region(FAR + 100, 1, READ).growing_down(None);
    for (page, expected) in [
        (FAR + 20, [(FAR, 21), (FAR + 100, 1)]),
        (FAR + 49, [(FAR, 50), (FAR + 100, 1)]),
        (FAR + 50, [(FAR, 1), (FAR + 50, 51)]),
        (FAR + 70, [(FAR, 1), (FAR + 70, 31)]),
    ] {
        let mut map = map_with([heap(), stack()]);
        assert!(reaches(&mut map, page));
        assert_eq!(extents(&map), expected);
    }
    let limited = heap().growing_up(Some(address(FAR + 5)));
    let mut map = map_with([limited, stack()]);
    assert!(reaches(&mut map, FAR + 20));
    assert_eq!(extents(&map), [(FAR, 1), (FAR + 20, 81)]);
}

#[test]
fn what_is_in_a_region_already_is_found_and_nothing_grows() {
    let mut map = map_with([region(FAR, 2, WRITE).growing_down(None)]);
    assert!(reaches(&mut map, FAR) && reaches(&mut map, FAR + 1));
    assert_eq!(extents(&map), [(FAR, 2)]);
}

#[test]
fn a_part_of_a_stack_grows_as_the_whole_did() {
    let stack = region(FAR, 10, WRITE).growing_down(Some(address(FAR - 40)));
    let mut map = map_with([stack]);
    map.protect(range(FAR + 4, 2), READ).unwrap();
    map.remove(range(FAR, 4)).unwrap();
    assert!(!reaches(&mut map, FAR - 41) && reaches(&mut map, FAR - 40));
    assert_eq!(extents(&map), [(FAR - 40, 46), (FAR + 6, 4)]);
}

#[test]
fn the_highest_hole_that_is_long_enough_is_found() {
    let mut map = map_of(&[]);
    let top = map.find_free(3, PAGE_SIZE, USER_END).unwrap();
    assert_eq!((top.end(), top.len_pages()), (USER_END, 3));
    let aligned = map.find_free(3, 1 << 30, USER_END).unwrap();
    assert!(aligned.start().as_u64().is_multiple_of(1 << 30));
    assert_eq!(aligned.len_pages(), 3);

    map.insert(everything_from(100)).unwrap();
    map.insert(region(90, 5, WRITE)).unwrap();
    assert_eq!(map.find_free(5, PAGE_SIZE, USER_END), Some(range(95, 5)));
    assert_eq!(
        map.find_free(5, 16 * PAGE_SIZE, USER_END),
        Some(range(80, 5))
    );
    assert_eq!(map.find_free(6, PAGE_SIZE, USER_END), Some(range(84, 6)));
    assert_eq!(map.find_free(90, PAGE_SIZE, USER_END), Some(range(0, 90)));
    for refused in [0, 91, usize::MAX / PAGE_SIZE, usize::MAX] {
        assert_eq!(
            map.find_free(refused, PAGE_SIZE, USER_END),
            None,
            "{refused}"
        );
    }
}

#[test]
fn room_for_growth_is_not_given_away() {
    let mut map = map_with([
        region(100, 10, WRITE).growing_up(Some(address(120))),
        everything_from(200).growing_down(Some(address(190))),
    ]);
    let len_pages = 70 - 2 * GUARD_PAGES;
    let free = range(120 + GUARD_PAGES, len_pages);
    assert_eq!(map.find_free(len_pages, PAGE_SIZE, USER_END), Some(free));
    let longer = map.find_free(len_pages + 1, PAGE_SIZE, USER_END);
    assert_eq!(longer.map(UserRange::end), Some(address(100)));
    map.insert(Region::new(free, WRITE, Backing::Anonymous))
        .unwrap();
    assert!(reaches(&mut map, 119) && reaches(&mut map, 190));
}
