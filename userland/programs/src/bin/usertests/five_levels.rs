//! What page tables of five levels add to user space.
//!
//! A program learns how many there are by trying: with four, [`FAR`] is no address. Each test does what is right on the
//! machine that it finds.

use abi::layout::{PAGE_SIZE, USER_START, USER_START_5_LEVEL};
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::{Errno, MapFlags, Protection, memory};

use crate::check::{expect_fatal, expect_marks, join, mark_pages, ok, peek, poke, start};
use crate::runner::tests;

tests![
    five_levels_give_user_space_far_addresses,
    far_memory_is_shared_by_a_fork_until_it_is_written,
    far_pages_come_by_page_alloc_and_go_by_page_free,
    user_space_with_five_levels_has_no_hole_and_one_beginning,
];

/// In user space with five levels only: the exercise's example of such an address.
const FAR: usize = USER_START_5_LEVEL + 0x1_0000;
const FAR_PAGES: MapRequest = MapRequest::anonymous(4 * PAGE_SIZE).at(FAR);

/// Whether user space begins at [`USER_START_5_LEVEL`]; otherwise [`FAR`] has been refused, as it must be.
#[track_caller]
fn has_five_levels() -> bool {
    match map(&FAR_PAGES) {
        Ok(address) => {
            assert_eq!(address, FAR);
            // SAFETY: nothing uses it.
            ok(unsafe { unmap(FAR, FAR_PAGES.len) });
            true
        }
        Err(errno) => {
            assert_eq!(errno, Errno::EINVAL, "with four levels");
            false
        }
    }
}

fn five_levels_give_user_space_far_addresses() {
    if !has_five_levels() {
        // What is not canonical with four levels is no user's, whoever asks.
        assert_eq!(
            protect(FAR, PAGE_SIZE, Protection::READ),
            Err(Errno::EINVAL)
        );
        assert_eq!(move_frames(FAR, PAGE_SIZE), Err(Errno::EINVAL));
        expect_fatal("a read of what is no address", || {
            peek(FAR);
        });
        return;
    }
    for flags in [MapFlags::empty(), MapFlags::EAGER] {
        ok(map(&FAR_PAGES.flags(flags)));
        assert_eq!(peek(FAR), 0);
        mark_pages(FAR, 4, 1);
        ok(move_frames(FAR, FAR_PAGES.len));
        ok(protect(FAR, PAGE_SIZE, Protection::READ));
        expect_marks(FAR, 4, 1);
        expect_fatal("a write to what may be read only", || poke(FAR, 9));
        assert_eq!(ok(mapping(FAR)).page_len, PAGE_SIZE as u64);
        // SAFETY: nothing uses it.
        ok(unsafe { unmap(FAR, FAR_PAGES.len) });
        assert_eq!(mapping(FAR), Err(Errno::EFAULT));
        expect_fatal("a read of what was unmapped", || {
            peek(FAR);
        });
    }
}

fn far_memory_is_shared_by_a_fork_until_it_is_written() {
    if !has_five_levels() {
        return;
    }
    ok(map(&FAR_PAGES));
    mark_pages(FAR, 4, 1);
    let child = start(|| {
        expect_marks(FAR, 4, 1);
        mark_pages(FAR, 2, 50);
        expect_marks(FAR, 2, 50);
    });
    poke(FAR + 3 * PAGE_SIZE, 4);
    join(child);
    expect_marks(FAR, 4, 1);
}

fn far_pages_come_by_page_alloc_and_go_by_page_free() {
    let is_there = has_five_levels();
    // SAFETY: the program has nothing there.
    let result = unsafe { memory::page_alloc_range(FAR, 3) };
    if !is_there {
        assert_eq!(result, Err(Errno::EINVAL));
        return;
    }
    ok(result);
    mark_pages(FAR, 3, 7);
    expect_marks(FAR, 3, 7);
    // SAFETY: as above.
    ok(unsafe { memory::page_free(FAR, 3) });
    assert_eq!(mapping(FAR), Err(Errno::EFAULT));
}

fn user_space_with_five_levels_has_no_hole_and_one_beginning() {
    let at = |address| MapRequest::anonymous(2 * PAGE_SIZE).at(address);
    // Across the place where user space begins with four levels.
    let across = USER_START - PAGE_SIZE;
    if has_five_levels() {
        for address in [USER_START_5_LEVEL, across] {
            ok(map(&at(address)));
            mark_pages(address, 2, 3);
            expect_marks(address, 2, 3);
            // SAFETY: nothing uses it.
            ok(unsafe { unmap(address, 2 * PAGE_SIZE) });
        }
        let before_all = USER_START_5_LEVEL - PAGE_SIZE;
        assert_eq!(map(&at(before_all)), Err(Errno::EINVAL));
    } else {
        assert_eq!(map(&at(across)), Err(Errno::EINVAL));
        ok(map(&at(USER_START)));
    }
}
