//! `unmap`: what goes, what stays, and what is refused.

use abi::OpenFlags;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, Mapping, map, mapping, protect, unmap};
use ulib::{Errno, Protection, process};

use crate::check::{
    AREA_START, BAD_RANGES, expect_fatal, expect_marks, mark_pages, ok, peek, poke,
};
use crate::runner::tests;

tests![
    unmapped_memory_cannot_be_read dies_by SIGSEGV,
    unmapped_memory_cannot_be_written dies_by SIGSEGV,
    a_page_is_fresh_after_unmap_and_map,
    unmapped_memory_is_free_again,
    unmapping_nothing_is_no_error,
    unmapping_the_middle_leaves_both_ends,
    unmapping_an_end_leaves_the_rest,
    one_call_unmaps_several_mappings_and_the_holes_between,
    unmap_refuses_bad_ranges,
    a_pinned_mapping_cannot_be_unmapped,
    the_kernel_finds_nothing_in_unmapped_memory,
    a_part_of_a_file_mapping_keeps_its_place_in_the_file,
    a_program_may_unmap_itself dies_by SIGSEGV,
];

const PAGES: MapRequest = MapRequest::anonymous(8 * PAGE_SIZE);
const LEN: usize = PAGES.len;

fn remove(address: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: the tests unmap only what they use no more, or what they then expect to die of.
    unsafe { unmap(address, len) }
}

/// Where mapping starts and how long it is, in pages from [`AREA_START`].
fn extent(page: usize) -> Result<(usize, usize), Errno> {
    let info = mapping(AREA_START + page * PAGE_SIZE)?;
    let start = info.start as usize - AREA_START;
    Ok((start / PAGE_SIZE, info.len as usize / PAGE_SIZE))
}

fn unmapped_memory_cannot_be_read() {
    let start = ok(map(&PAGES));
    poke(start, 1);
    ok(remove(start, LEN));
    peek(start);
}

fn unmapped_memory_cannot_be_written() {
    let start = ok(map(&PAGES));
    poke(start, 1);
    ok(remove(start, LEN));
    poke(start, 2);
}

fn a_page_is_fresh_after_unmap_and_map() {
    for value in 1..30 {
        let start = ok(map(&PAGES.at(AREA_START)));
        expect_zeros(start);
        mark_pages(start, 8, value);
        ok(remove(start, LEN));
    }
}

fn expect_zeros(start: usize) {
    for page in 0..8 {
        assert_eq!(peek(start + page * PAGE_SIZE), 0, "page {page}");
    }
}

fn unmapped_memory_is_free_again() {
    let before = process::sysinfo();
    for _ in 0..3 {
        let start = ok(map(&PAGES));
        mark_pages(start, 8, 1);
        assert_eq!(
            process::sysinfo().anonymous_frames,
            before.anonymous_frames + 8
        );
        ok(remove(start + PAGE_SIZE, 3 * PAGE_SIZE));
        assert_eq!(
            process::sysinfo().anonymous_frames,
            before.anonymous_frames + 5
        );
        ok(remove(start, LEN));
        assert_eq!(process::sysinfo().anonymous_frames, before.anonymous_frames);
    }
}

fn unmapping_nothing_is_no_error() {
    assert_eq!(remove(AREA_START, PAGE_SIZE), Ok(()));
    assert_eq!(remove(AREA_START, 1 << 40), Ok(()));
    let start = ok(map(&PAGES));
    ok(remove(start, LEN));
    assert_eq!(remove(start, LEN), Ok(()), "again");
}

fn unmapping_the_middle_leaves_both_ends() {
    let start = ok(map(&PAGES.at(AREA_START)));
    mark_pages(start, 8, 100);
    ok(remove(start + 3 * PAGE_SIZE, 2 * PAGE_SIZE));
    let extents = [0, 2, 3, 4, 5, 7].map(extent);
    let gone = Err(Errno::EFAULT);
    assert_eq!(
        extents,
        [Ok((0, 3)), Ok((0, 3)), gone, gone, Ok((5, 3)), Ok((5, 3))]
    );
    expect_marks(start, 3, 100);
    expect_marks(start + 5 * PAGE_SIZE, 3, 105);
    expect_fatal("the hole", || {
        peek(start + 4 * PAGE_SIZE);
    });
    // The hole can be filled; then all of it is one again.
    let hole = MapRequest::anonymous(2 * PAGE_SIZE).at(start + 3 * PAGE_SIZE);
    assert!(map(&hole).is_ok());
    assert_eq!(peek(start + 4 * PAGE_SIZE), 0);
    assert_eq!(extent(5), Ok((0, 8)));
}

fn unmapping_an_end_leaves_the_rest() {
    let start = ok(map(&PAGES.at(AREA_START)));
    mark_pages(start, 8, 1);
    ok(remove(start - 4 * PAGE_SIZE, 6 * PAGE_SIZE));
    ok(remove(start + 7 * PAGE_SIZE, 100 * PAGE_SIZE));
    assert_eq!([0, 1, 2, 6, 7].map(extent), {
        let gone = Err(Errno::EFAULT);
        [gone, gone, Ok((2, 5)), Ok((2, 5)), gone]
    });
    expect_marks(start + 2 * PAGE_SIZE, 5, 3);
}

fn one_call_unmaps_several_mappings_and_the_holes_between() {
    let places = [0, 2, 4, 6].map(|gibibytes| AREA_START + (gibibytes << 30));
    for place in places {
        ok(map(&PAGES.at(place)));
        mark_pages(place, 8, 1);
    }
    ok(remove(places[0] + 4 * PAGE_SIZE, places[3] - places[0]));
    assert_eq!(extent(0), Ok((0, 4)));
    for place in [places[0] + 4 * PAGE_SIZE, places[1], places[2], places[3]] {
        assert_eq!(mapping(place), Err(Errno::EFAULT), "{place:#x}");
    }
    expect_marks(places[3] + 4 * PAGE_SIZE, 4, 5);
}

fn unmap_refuses_bad_ranges() {
    for (address, len) in BAD_RANGES {
        let result = remove(address, len);
        assert_eq!(result, Err(Errno::EINVAL), "{address:#x}, {len:#x} bytes");
    }
}

fn a_pinned_mapping_cannot_be_unmapped() {
    let start = ok(map(&PAGES.at(AREA_START)));
    mark_pages(start, 8, 1);
    let both = Protection::READ | Protection::WRITE;
    ok(protect(
        start + 5 * PAGE_SIZE,
        PAGE_SIZE,
        both | Protection::PIN,
    ));
    for (first, len_pages) in [(0, 8), (5, 1), (4, 2), (5, 3)] {
        assert_eq!(
            remove(start + first * PAGE_SIZE, len_pages * PAGE_SIZE),
            Err(Errno::EPERM),
            "{len_pages} pages from {first} on"
        );
    }
    expect_marks(start, 8, 1);
    ok(remove(start, 5 * PAGE_SIZE));
    ok(protect(start + 5 * PAGE_SIZE, PAGE_SIZE, both));
    expect_marks(start + 5 * PAGE_SIZE, 3, 6);
    assert_eq!(remove(start, LEN), Ok(()));
    let pinned = ok(Mapping::new(&PAGES.protection(both | Protection::PIN)));
    assert_eq!(remove(pinned.address(), LEN), Err(Errno::EPERM));
}

fn the_kernel_finds_nothing_in_unmapped_memory() {
    let start = ok(map(&PAGES));
    poke(start, 1);
    let (_reader, writer) = ok(file::pipe());
    ok(remove(start, PAGE_SIZE));
    let bytes = start as *const u8;
    // SAFETY: the kernel only reads.
    let written = unsafe { ulib::system_call::write(writer.descriptor(), bytes, 8) };
    assert_eq!(abi::decode(written), Err(Errno::EFAULT));
}

fn a_part_of_a_file_mapping_keeps_its_place_in_the_file() {
    let hello = ok(File::open("hello", OpenFlags::READ));
    let request = MapRequest::file(&hello, 0, 3 * PAGE_SIZE);
    let (whole, cut) = (ok(map(&request)), ok(map(&request)));
    ok(remove(cut, PAGE_SIZE));
    for page in [1, 2] {
        let address = page * PAGE_SIZE + 64;
        assert_eq!(peek(cut + address), peek(whole + address), "page {page}");
    }
}

fn a_program_may_unmap_itself() {
    let _ = remove(PROGRAM_BASE, 1 << 30);
}
