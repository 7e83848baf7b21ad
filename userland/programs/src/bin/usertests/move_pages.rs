//! `move`: other frames behind the same addresses.

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::{Errno, MapFlags, Protection, process};

use crate::check::{
    AREA_START, BAD_RANGES, expect_fatal, expect_marks, join, lonely_page, mark_pages, ok, peek,
    poke, start,
};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::runner::tests;

tests![
    moved_memory_keeps_its_contents_and_rights,
    moving_takes_and_leaves_no_memory,
    moving_a_part_cuts_nothing,
    pages_that_nobody_has_touched_need_no_frame,
    a_hole_cannot_be_moved,
    move_refuses_bad_ranges,
    pinned_memory_cannot_be_moved,
    memory_that_a_fork_shares_is_still_separate_after_a_move,
    a_shared_mapping_that_was_moved_is_still_shared,
    a_moved_private_page_of_a_file_is_the_same,
    the_stack_and_the_program_can_be_moved,
];

const PAGES: MapRequest = MapRequest::anonymous(8 * PAGE_SIZE);
const LEN: usize = PAGES.len;

fn moved_memory_keeps_its_contents_and_rights() {
    let memory = ok(map(&PAGES));
    for round in 0..20 {
        mark_pages(memory, 8, round);
        ok(move_frames(memory, LEN));
        expect_marks(memory, 8, round);
    }
    ok(protect(memory, LEN, Protection::READ));
    ok(move_frames(memory, LEN));
    expect_marks(memory, 8, 19);
    expect_fatal("a write", || poke(memory, 1));
}

fn moving_takes_and_leaves_no_memory() {
    let memory = ok(map(&PAGES));
    mark_pages(memory, 8, 1);
    let mut page = lonely_page();
    page.words().fill(3);
    let before = process::sysinfo();
    for _ in 0..10 {
        ok(move_frames(memory, LEN));
        ok(move_frames(AREA_START, PAGE_SIZE));
    }
    let after = process::sysinfo();
    assert_eq!(after.anonymous_frames, before.anonymous_frames);
    assert_eq!(after.page_table_frames, before.page_table_frames);
    assert!(page.words().iter().all(|&word| word == 3));
}

fn moving_a_part_cuts_nothing() {
    let memory = ok(map(&PAGES.at(AREA_START)));
    mark_pages(memory, 8, 1);
    ok(move_frames(memory + 2 * PAGE_SIZE, 3 * PAGE_SIZE));
    let info = ok(mapping(memory + 3 * PAGE_SIZE));
    assert_eq!((info.start, info.len), (memory as u64, LEN as u64));
    expect_marks(memory, 8, 1);
}

fn pages_that_nobody_has_touched_need_no_frame() {
    let memory = ok(map(&PAGES));
    let before = process::sysinfo().anonymous_frames;
    ok(move_frames(memory, LEN));
    assert_eq!(process::sysinfo().anonymous_frames, before);
    assert_eq!(peek(memory), 0);
}

fn a_hole_cannot_be_moved() {
    let memory = ok(map(&PAGES.at(AREA_START)));
    mark_pages(memory, 8, 1);
    // SAFETY: nothing uses the page.
    ok(unsafe { unmap(memory + 4 * PAGE_SIZE, PAGE_SIZE) });
    for (first, len_pages) in [(0, 8), (4, 1), (3, 2), (4, 2), (6, 3)] {
        assert_eq!(
            move_frames(memory + first * PAGE_SIZE, len_pages * PAGE_SIZE),
            Err(Errno::EFAULT),
            "{len_pages} pages from {first} on"
        );
    }
    expect_marks(memory, 4, 1);
}

fn move_refuses_bad_ranges() {
    for (address, len) in BAD_RANGES {
        let result = move_frames(address, len);
        assert_eq!(result, Err(Errno::EINVAL), "{address:#x}, {len:#x} bytes");
    }
}

fn pinned_memory_cannot_be_moved() {
    let memory = ok(map(&PAGES));
    mark_pages(memory, 8, 1);
    let both = Protection::READ | Protection::WRITE;
    ok(protect(
        memory + 5 * PAGE_SIZE,
        PAGE_SIZE,
        both | Protection::PIN,
    ));
    for (first, len_pages) in [(0, 8), (5, 1), (4, 2), (5, 3)] {
        assert_eq!(
            move_frames(memory + first * PAGE_SIZE, len_pages * PAGE_SIZE),
            Err(Errno::EPERM),
            "{len_pages} pages from {first} on"
        );
    }
    assert_eq!(move_frames(memory, 5 * PAGE_SIZE), Ok(()));
    ok(protect(memory + 5 * PAGE_SIZE, PAGE_SIZE, both));
    assert_eq!(move_frames(memory, LEN), Ok(()));
    expect_marks(memory, 8, 1);
}

fn memory_that_a_fork_shares_is_still_separate_after_a_move() {
    let memory = ok(map(&PAGES));
    mark_pages(memory, 8, 1);
    let child = start(|| {
        ok(move_frames(memory, LEN));
        expect_marks(memory, 8, 1);
        mark_pages(memory, 8, 20);
        ok(move_frames(memory, LEN));
        expect_marks(memory, 8, 20);
    });
    ok(move_frames(memory, LEN / 2));
    mark_pages(memory, 2, 30);
    join(child);
    expect_marks(memory, 2, 30);
    expect_marks(memory + 2 * PAGE_SIZE, 6, 3);
}

fn a_shared_mapping_that_was_moved_is_still_shared() {
    fill_scratch(SCRATCH_A, &[1; 8]);
    let file = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
    let shown = ok(map(
        &MapRequest::file(&file, 0, PAGE_SIZE).flags(MapFlags::SHARED)
    ));
    let anonymous = ok(map(&PAGES.flags(MapFlags::SHARED)));
    poke(shown, 2);
    poke(anonymous, 2);
    join(start(|| {
        ok(move_frames(shown, PAGE_SIZE));
        ok(move_frames(anonymous, LEN));
        poke(shown, 3);
        poke(anonymous, 3);
    }));
    assert_eq!([peek(shown), peek(anonymous)], [3; 2]);
    ok(move_frames(shown, PAGE_SIZE));
    poke(shown, 4);
    let mut bytes = [0; 8];
    assert_eq!(file.read_full(&mut bytes), Ok(8));
    assert_eq!(bytes, 4_u64.to_ne_bytes(), "the store missed the file");
    empty_scratch(SCRATCH_A);
}

fn a_moved_private_page_of_a_file_is_the_same() {
    let hello = ok(File::open("hello", OpenFlags::READ));
    let request = MapRequest::file(&hello, 0, 3 * PAGE_SIZE);
    let (moved, stays) = (ok(map(&request)), ok(map(&request)));
    assert_eq!(peek(moved), peek(stays));
    poke(moved + PAGE_SIZE, 5);
    ok(move_frames(moved, 3 * PAGE_SIZE));
    assert_eq!(peek(moved), peek(stays));
    assert_eq!(peek(moved + PAGE_SIZE), 5);
    poke(moved, 6);
    assert_ne!(peek(stays), 6);
}

fn the_stack_and_the_program_can_be_moved() {
    let mut on_the_stack = [7_u64; 1000];
    core::hint::black_box(&mut on_the_stack);
    for address in [
        (&raw const on_the_stack).addr(),
        (the_stack_and_the_program_can_be_moved as fn()) as usize,
        (&raw const PAGES_IN_DATA).addr(),
    ] {
        ok(move_frames(address & !(PAGE_SIZE - 1), PAGE_SIZE));
    }
    assert!(
        core::hint::black_box(&on_the_stack)
            .iter()
            .all(|&word| word == 7)
    );
    assert_eq!(
        PAGES_IN_DATA.load(core::sync::atomic::Ordering::Relaxed),
        11
    );
}

static PAGES_IN_DATA: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(11);
