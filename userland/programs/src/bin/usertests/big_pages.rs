//! Mappings that are large and aligned enough for big pages: nothing of that shows but their speed.

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::{Errno, MapFlags, Protection, process};

use crate::check::{
    AREA_START, expect_fatal, expect_marks, join, mark_pages, ok, peek, poke, start,
};
use crate::runner::tests;

tests![
    a_big_mapping_is_zero_and_keeps_what_is_stored,
    the_middle_of_a_big_page_can_be_unmapped,
    the_middle_of_a_big_page_can_be_protected,
    a_part_of_a_big_page_can_be_moved,
    a_fork_shares_big_pages_until_they_are_written,
    a_big_mapping_leaves_nothing_behind,
];

const BIG_LEN: usize = 2 << 20;
const LEN_PAGES: usize = 2 * BIG_LEN / PAGE_SIZE;
/// Two big pages.
const BIG: MapRequest = MapRequest::anonymous(2 * BIG_LEN)
    .at(AREA_START)
    .flags(MapFlags::EAGER);
const MIDDLE: usize = AREA_START + BIG_LEN / 2;
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

fn a_big_mapping_is_zero_and_keeps_what_is_stored() {
    ok(map(&BIG));
    for address in (AREA_START..AREA_START + BIG.len).step_by(1016) {
        assert_eq!(peek(address), 0, "{address:#x}");
    }
    mark_pages(AREA_START, LEN_PAGES, 1);
    expect_marks(AREA_START, LEN_PAGES, 1);
}

fn the_middle_of_a_big_page_can_be_unmapped() {
    ok(map(&BIG));
    mark_pages(AREA_START, LEN_PAGES, 1);
    // SAFETY: nothing uses it.
    ok(unsafe { unmap(MIDDLE, PAGE_SIZE) });
    assert_eq!(mapping(MIDDLE), Err(Errno::EFAULT));
    expect_fatal("a read of the hole", || {
        peek(MIDDLE);
    });
    expect_marks(AREA_START, 256, 1);
    expect_marks(MIDDLE + PAGE_SIZE, LEN_PAGES - 257, 258);
    assert_eq!(ok(mapping(MIDDLE - 8)).page_len, PAGE_SIZE as u64);
}

fn the_middle_of_a_big_page_can_be_protected() {
    ok(map(&BIG));
    mark_pages(AREA_START, LEN_PAGES, 1);
    ok(protect(MIDDLE, PAGE_SIZE, Protection::READ));
    expect_fatal("a write to the middle", || poke(MIDDLE, 9));
    poke(MIDDLE - PAGE_SIZE, 256);
    poke(MIDDLE + PAGE_SIZE, 258);
    ok(protect(MIDDLE, PAGE_SIZE, READ_WRITE));
    poke(MIDDLE, 257);
    expect_marks(AREA_START, LEN_PAGES, 1);
    ok(protect(AREA_START, BIG.len, Protection::READ));
    expect_fatal("a write", || poke(AREA_START, 9));
    expect_marks(AREA_START, LEN_PAGES, 1);
}

fn a_part_of_a_big_page_can_be_moved() {
    ok(map(&BIG));
    mark_pages(AREA_START, LEN_PAGES, 1);
    ok(move_frames(MIDDLE, 3 * PAGE_SIZE));
    expect_marks(AREA_START, LEN_PAGES, 1);
    ok(move_frames(AREA_START, BIG.len));
    expect_marks(AREA_START, LEN_PAGES, 1);
}

fn a_fork_shares_big_pages_until_they_are_written() {
    ok(map(&BIG));
    mark_pages(AREA_START, LEN_PAGES, 1);
    let child = start(|| {
        expect_marks(AREA_START, LEN_PAGES, 1);
        mark_pages(MIDDLE, 300, 5000);
        expect_marks(AREA_START, 256, 1);
        expect_marks(MIDDLE, 300, 5000);
        expect_marks(MIDDLE + 300 * PAGE_SIZE, LEN_PAGES - 556, 557);
    });
    mark_pages(AREA_START, 10, 9000);
    join(child);
    expect_marks(AREA_START, 10, 9000);
    expect_marks(AREA_START + 10 * PAGE_SIZE, LEN_PAGES - 10, 11);
}

fn a_big_mapping_leaves_nothing_behind() {
    let before = process::sysinfo();
    for cut in [0, 1, 100, 511, 512, 700] {
        ok(map(&BIG));
        assert_eq!(
            process::sysinfo().anonymous_frames,
            before.anonymous_frames + LEN_PAGES as u64
        );
        let page = AREA_START + cut * PAGE_SIZE;
        // SAFETY: nothing uses it.
        ok(unsafe { unmap(page, PAGE_SIZE).and_then(|()| unmap(AREA_START, BIG.len)) });
        assert_eq!(process::sysinfo().anonymous_frames, before.anonymous_frames);
    }
}
