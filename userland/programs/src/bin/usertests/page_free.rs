//! `page_free`: giving back what `page_alloc` gave.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP};
use ulib::mapping::{MapRequest, map, mapping, protect};
use ulib::memory::page_alloc_range;
use ulib::{Errno, Protection, process};

use crate::check::{AREA_START, BAD_RANGES, expect_fatal, expect_marks, mark_pages, ok, peek};
use crate::memory::page_alloc;
use crate::runner::tests;

tests![
    freed_pages_are_gone_and_their_memory_is_back,
    freed_pages_can_be_had_again_and_are_zero,
    freeing_the_middle_leaves_both_ends,
    all_pages_are_checked_before_any_is_freed,
    nothing_but_pages_of_page_alloc_can_be_freed,
    page_free_refuses_bad_ranges,
    pinned_pages_cannot_be_freed,
];

fn alloc(address: usize, len_pages: usize) {
    // SAFETY: nothing is there, or nothing that a test still needs.
    ok(unsafe { page_alloc_range(address, len_pages) });
}

fn free(address: usize, len_pages: usize) -> Result<(), Errno> {
    // SAFETY: the tests free only what they use no more.
    unsafe { ulib::memory::page_free(address, len_pages) }
}

fn freed_pages_are_gone_and_their_memory_is_back() {
    let before = process::sysinfo().anonymous_frames;
    for _ in 0..3 {
        alloc(AREA_START, 8);
        mark_pages(AREA_START, 8, 1);
        ok(free(AREA_START, 8));
        assert_eq!(process::sysinfo().anonymous_frames, before);
        assert_eq!(mapping(AREA_START), Err(Errno::EFAULT));
    }
    expect_fatal("a read", || {
        peek(AREA_START);
    });
}

fn freed_pages_can_be_had_again_and_are_zero() {
    for value in 1..20 {
        alloc(AREA_START, 8);
        for page in 0..8 {
            assert_eq!(peek(AREA_START + page * PAGE_SIZE), 0, "page {page}");
        }
        mark_pages(AREA_START, 8, value);
        ok(free(AREA_START, 8));
    }
    assert!(map(&MapRequest::anonymous(PAGE_SIZE).at(AREA_START)).is_ok());
}

fn freeing_the_middle_leaves_both_ends() {
    alloc(AREA_START, 8);
    mark_pages(AREA_START, 8, 1);
    ok(free(AREA_START + 3 * PAGE_SIZE, 2));
    expect_marks(AREA_START, 3, 1);
    expect_marks(AREA_START + 5 * PAGE_SIZE, 3, 6);
    expect_fatal("a read of the middle", || {
        peek(AREA_START + 4 * PAGE_SIZE);
    });
}

fn all_pages_are_checked_before_any_is_freed() {
    alloc(AREA_START, 4);
    alloc(AREA_START + 5 * PAGE_SIZE, 3);
    ok(map(
        &MapRequest::anonymous(PAGE_SIZE).at(AREA_START + 8 * PAGE_SIZE)
    ));
    mark_pages(AREA_START, 4, 1);
    mark_pages(AREA_START + 5 * PAGE_SIZE, 4, 6);
    for (first, len_pages) in [(0, 5), (0, 8), (4, 1), (4, 2), (5, 4), (8, 1), (8, 2)] {
        assert_eq!(
            free(AREA_START + first * PAGE_SIZE, len_pages),
            Err(Errno::EFAULT),
            "{len_pages} pages from {first} on"
        );
    }
    expect_marks(AREA_START, 4, 1);
    expect_marks(AREA_START + 5 * PAGE_SIZE, 4, 6);
}

fn nothing_but_pages_of_page_alloc_can_be_freed() {
    let mapped = ok(map(&MapRequest::anonymous(PAGE_SIZE)));
    for address in [mapped, PROGRAM_BASE, STACK_TOP - PAGE_SIZE, AREA_START] {
        assert_eq!(free(address, 1), Err(Errno::EFAULT), "{address:#x}");
    }
}

fn page_free_refuses_bad_ranges() {
    for (address, len) in BAD_RANGES {
        if len % PAGE_SIZE == 0 {
            let result = free(address, len / PAGE_SIZE);
            assert_eq!(result, Err(Errno::EINVAL), "{address:#x}, {len:#x} bytes");
        }
    }
    for len_pages in [0, usize::MAX, usize::MAX / PAGE_SIZE, 1 << 52] {
        let result = free(AREA_START, len_pages);
        assert_eq!(result, Err(Errno::EINVAL), "{len_pages} pages");
    }
}

fn pinned_pages_cannot_be_freed() {
    alloc(AREA_START, 3);
    mark_pages(AREA_START, 3, 1);
    let both = Protection::READ | Protection::WRITE;
    ok(protect(
        AREA_START + PAGE_SIZE,
        PAGE_SIZE,
        both | Protection::PIN,
    ));
    assert_eq!(free(AREA_START, 3), Err(Errno::EPERM));
    // Nor are pinned pages replaced.
    assert_eq!(page_alloc(AREA_START + PAGE_SIZE), Err(Errno::EPERM));
    // SAFETY: nothing is replaced.
    let replaced = unsafe { page_alloc_range(AREA_START, 3) };
    assert_eq!(replaced, Err(Errno::EPERM));
    expect_marks(AREA_START, 3, 1);
    ok(protect(AREA_START + PAGE_SIZE, PAGE_SIZE, both));
    assert_eq!(free(AREA_START, 3), Ok(()));
}
