//! Mappings that grow when they are touched from outside: by how much, how far, and not at all.

use abi::GUARD_GAP_LEN;
use abi::layout::{PAGE_SIZE, STACK_BOTTOM, STACK_TOP};
use ulib::file;
use ulib::mapping::{MapRequest, map, mapping, protect, unmap};
use ulib::{Errno, MapFlags, MappingInfo, Protection, process};

use crate::check::{AREA_START, expect_fatal, join, ok, peek, poke, start};
use crate::runner::tests;

tests![
    a_touch_below_makes_the_mapping_longer,
    a_touch_above_makes_the_mapping_longer,
    a_mapping_that_does_not_grow_stays_as_it_is,
    growing_ends_at_the_limit,
    growing_ends_at_the_guard_gap_before_a_neighbour,
    a_mapping_in_the_gap_is_allowed_and_stops_the_growth,
    a_touch_beyond_a_neighbour_does_not_jump_over_it,
    what_grows_has_the_rights_of_its_mapping,
    the_kernel_grows_a_mapping_that_it_writes_into,
    the_stack_grows_and_ends_at_its_limit,
    parent_and_child_grow_separately,
    grown_memory_comes_back_when_it_is_unmapped,
    the_lowest_part_goes_on_growing_after_a_cut,
];

/// In the middle of nothing.
const MIDDLE: usize = AREA_START + (1 << 35);
const DOWN: MapRequest = MapRequest::anonymous(2 * PAGE_SIZE)
    .at(MIDDLE)
    .flags(MapFlags::GROW_DOWN);
const UP: MapRequest = MapRequest::anonymous(2 * PAGE_SIZE)
    .at(MIDDLE)
    .flags(MapFlags::GROW_UP);
const END: usize = MIDDLE + 2 * PAGE_SIZE;

/// The mapping with the page at [`MIDDLE`]: by how many pages it goes on below, and above.
fn extent() -> (usize, usize) {
    let MappingInfo { start, len, .. } = ok(mapping(MIDDLE));
    let below = MIDDLE - start as usize;
    (below / PAGE_SIZE, (len as usize - below) / PAGE_SIZE)
}

fn a_touch_below_makes_the_mapping_longer() {
    ok(map(&DOWN));
    let before = process::sysinfo().anonymous_frames;
    for (page, expected) in [(0, 0), (1, 1), (2, 2), (7, 7), (100, 100), (50, 100)] {
        let address = MIDDLE - page * PAGE_SIZE;
        assert_eq!(peek(address), 0);
        poke(address, 1);
        assert_eq!(extent(), (expected, 2));
    }
    assert_eq!(process::sysinfo().anonymous_frames, before + 6);
    expect_fatal("a touch above", || poke(END, 1));
}

fn a_touch_above_makes_the_mapping_longer() {
    ok(map(&UP));
    for (page, expected) in [(1, 2), (2, 3), (3, 4), (9, 10), (100, 101), (50, 101)] {
        let address = MIDDLE + page * PAGE_SIZE;
        assert_eq!(peek(address), 0);
        poke(address, 1);
        assert_eq!(extent(), (0, expected));
    }
    expect_fatal("a touch below", || poke(MIDDLE - 8, 1));
}

fn a_mapping_that_does_not_grow_stays_as_it_is() {
    ok(map(&MapRequest::anonymous(PAGE_SIZE).at(MIDDLE)));
    poke(MIDDLE, 1);
    expect_fatal("a touch below", || poke(MIDDLE - 8, 1));
    expect_fatal("a touch above", || poke(MIDDLE + PAGE_SIZE, 1));
    assert_eq!(extent(), (0, 1));
}

fn growing_ends_at_the_limit() {
    ok(map(&DOWN.limit(10 * PAGE_SIZE)));
    poke(END - 10 * PAGE_SIZE, 1);
    assert_eq!(extent(), (8, 2));
    expect_fatal("the page behind the limit", || {
        poke(END - 10 * PAGE_SIZE - 8, 1)
    });

    let other = MIDDLE + (1 << 30);
    ok(map(&UP.at(other).limit(3 * PAGE_SIZE)));
    poke(other + 3 * PAGE_SIZE - 8, 1);
    expect_fatal("the page above the limit", || {
        poke(other + 3 * PAGE_SIZE, 1)
    });

    let none = MIDDLE - (1 << 30);
    ok(map(&DOWN.at(none).limit(2 * PAGE_SIZE)));
    expect_fatal("a mapping as long as its limit", || poke(none - 8, 1));
}

fn growing_ends_at_the_guard_gap_before_a_neighbour() {
    let neighbour = MIDDLE - 10 * PAGE_SIZE - GUARD_GAP_LEN;
    ok(map(&MapRequest::anonymous(PAGE_SIZE).at(neighbour)));
    ok(map(&DOWN));
    let lowest = neighbour + PAGE_SIZE + GUARD_GAP_LEN;
    expect_fatal("the gap", || poke(lowest - 8, 1));
    poke(lowest, 1);
    assert_eq!(extent(), (9, 2));
    expect_fatal("the gap again", || poke(lowest - 8, 1));

    let low = MIDDLE + (1 << 30);
    let high = low + 10 * PAGE_SIZE + GUARD_GAP_LEN;
    ok(map(&UP.at(low)));
    ok(map(&MapRequest::anonymous(PAGE_SIZE).at(high)));
    poke(high - GUARD_GAP_LEN - 8, 1);
    expect_fatal("the gap above", || poke(high - GUARD_GAP_LEN, 1));
}

fn a_mapping_in_the_gap_is_allowed_and_stops_the_growth() {
    ok(map(&DOWN));
    assert!(map(&MapRequest::anonymous(PAGE_SIZE).at(MIDDLE - PAGE_SIZE)).is_ok());
    poke(MIDDLE, 1);
    expect_fatal("a touch below both", || poke(MIDDLE - PAGE_SIZE - 8, 1));
    assert_eq!(ok(mapping(MIDDLE)).start, MIDDLE as u64);
}

fn a_touch_beyond_a_neighbour_does_not_jump_over_it() {
    let neighbour = MIDDLE - 10 * PAGE_SIZE;
    ok(map(&MapRequest::anonymous(PAGE_SIZE).at(neighbour)));
    ok(map(&DOWN));
    expect_fatal("a touch below the neighbour", || poke(neighbour - 8, 1));
    assert_eq!(extent(), (0, 2));
}

fn what_grows_has_the_rights_of_its_mapping() {
    ok(map(&DOWN.protection(Protection::READ)));
    expect_fatal("a write below", || poke(MIDDLE - 8, 1));
    assert_eq!(peek(MIDDLE - PAGE_SIZE), 0);
    assert_eq!(extent(), (1, 2));
    ok(protect(
        MIDDLE - PAGE_SIZE,
        3 * PAGE_SIZE,
        Protection::READ | Protection::WRITE,
    ));
    poke(MIDDLE - 2 * PAGE_SIZE, 1);
    assert_eq!(extent(), (2, 2));
}

fn the_kernel_grows_a_mapping_that_it_writes_into() {
    ok(map(&DOWN));
    let (reader, writer) = ok(file::pipe());
    ok(writer.write_all(&7_u64.to_ne_bytes()));
    let place = MIDDLE - 3 * PAGE_SIZE;
    // SAFETY: the kernel writes into memory that nothing uses.
    let read = unsafe { ulib::system_call::read(reader.descriptor(), place as *mut u8, 8) };
    assert_eq!(read, 8);
    assert_eq!(peek(place), 7);
    assert_eq!(extent(), (3, 2));
}

fn the_stack_grows_and_ends_at_its_limit() {
    let len = || ok(mapping(STACK_TOP - 8)).len as usize;
    let before = len();
    assert!(before < STACK_TOP - STACK_BOTTOM, "it has its full length");
    poke(STACK_BOTTOM + 8 * PAGE_SIZE, 1);
    assert_eq!(len(), STACK_TOP - STACK_BOTTOM - 8 * PAGE_SIZE);
    poke(STACK_BOTTOM, 1);
    assert_eq!(len(), STACK_TOP - STACK_BOTTOM);
    expect_fatal("a touch below the limit", || poke(STACK_BOTTOM - 8, 1));
}

fn parent_and_child_grow_separately() {
    ok(map(&DOWN));
    poke(MIDDLE - PAGE_SIZE, 1);
    join(start(|| {
        poke(MIDDLE - 5 * PAGE_SIZE, 2);
        poke(MIDDLE - PAGE_SIZE, 2);
        assert_eq!(extent(), (5, 2));
    }));
    assert_eq!(extent(), (1, 2));
    assert_eq!(peek(MIDDLE - PAGE_SIZE), 1);
    assert_eq!(peek(MIDDLE - 5 * PAGE_SIZE), 0);
}

fn grown_memory_comes_back_when_it_is_unmapped() {
    ok(map(&DOWN));
    let before = process::sysinfo().anonymous_frames;
    for page in 1..=20 {
        poke(MIDDLE - page * PAGE_SIZE, 1);
    }
    // SAFETY: nothing uses it.
    ok(unsafe { unmap(MIDDLE - 20 * PAGE_SIZE, 22 * PAGE_SIZE) });
    assert_eq!(process::sysinfo().anonymous_frames, before);
    assert_eq!(mapping(MIDDLE), Err(Errno::EFAULT));
    expect_fatal("a touch where it was", || poke(MIDDLE, 1));
}

fn the_lowest_part_goes_on_growing_after_a_cut() {
    ok(map(&DOWN));
    poke(MIDDLE - 9 * PAGE_SIZE, 1);
    // SAFETY: nothing uses it.
    ok(unsafe { unmap(MIDDLE - 5 * PAGE_SIZE, PAGE_SIZE) });
    poke(MIDDLE - 10 * PAGE_SIZE, 1);
    assert_eq!(peek(MIDDLE - 9 * PAGE_SIZE), 1);
    let info = ok(mapping(MIDDLE - 9 * PAGE_SIZE));
    assert_eq!(info.len, 5 * PAGE_SIZE as u64);
}
