//! What a fork does with mappings: each process has its own of everything that is not shared.

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::memory::page_alloc_range;
use ulib::{Errno, MapFlags, Protection, process};

use crate::check::{
    AREA_START, do_forks_share, expect_fatal, expect_marks, join, mark_pages, ok, peek, poke, start,
};
use crate::runner::tests;

tests![
    a_child_has_a_private_copy_of_everything,
    parent_and_child_each_write_some_pages,
    a_second_fork_copies_what_is_there_then,
    a_grandchild_has_its_own_memory,
    what_a_child_unmaps_the_parent_keeps,
    what_a_child_maps_the_parent_has_not,
    what_a_child_protects_and_moves_stays_as_it_was_in_the_parent,
    what_the_parent_changes_after_the_fork_the_child_keeps,
    a_child_that_touches_nothing_costs_no_page,
    pages_that_come_after_the_fork_are_separate,
    forks_of_a_large_memory_keep_every_page,
];

const LEN_PAGES: usize = 600;
const PAGES: MapRequest = MapRequest::anonymous(LEN_PAGES * PAGE_SIZE).at(AREA_START);

/// More pages than one page-table page has entries.
fn marked_pages() -> usize {
    let memory = ok(map(&PAGES));
    mark_pages(memory, LEN_PAGES, 1);
    memory
}

fn a_child_has_a_private_copy_of_everything() {
    let hello = ok(File::open("hello", OpenFlags::READ));
    // SAFETY: nothing is there.
    ok(unsafe { page_alloc_range(AREA_START + (1 << 30), 4) });
    let memories = [
        ok(map(&PAGES)),
        ok(map(&MapRequest::file(&hello, 0, 4 * PAGE_SIZE))),
        ok(map(
            &MapRequest::anonymous(4 * PAGE_SIZE).flags(MapFlags::EAGER)
        )),
        AREA_START + (1 << 30),
    ];
    for memory in memories {
        mark_pages(memory, 4, 1);
    }
    let children = [10, 20, 30].map(|value| {
        start(move || {
            for memory in memories {
                expect_marks(memory, 4, 1);
                mark_pages(memory, 4, value);
            }
            process::yield_now();
            for memory in memories {
                expect_marks(memory, 4, value);
            }
        })
    });
    children.into_iter().for_each(join);
    for memory in memories {
        expect_marks(memory, 4, 1);
    }
}

/// Which pages the `step`th process writes: some that others write too.
fn some_pages(step: usize) -> impl Iterator<Item = usize> {
    (0..LEN_PAGES).step_by(step)
}

fn parent_and_child_each_write_some_pages() {
    let memory = marked_pages();
    let address = |page: usize| memory + page * PAGE_SIZE;
    let child = start(|| {
        some_pages(7).for_each(|page| poke(address(page), 7000));
        for page in 0..LEN_PAGES {
            let expected = if page % 7 == 0 { 7000 } else { page as u64 + 1 };
            assert_eq!(peek(address(page)), expected, "page {page} in the child");
        }
    });
    some_pages(5).for_each(|page| poke(address(page), 5000));
    join(child);
    for page in 0..LEN_PAGES {
        let expected = if page % 5 == 0 { 5000 } else { page as u64 + 1 };
        assert_eq!(peek(address(page)), expected, "page {page} in the parent");
    }
}

fn a_second_fork_copies_what_is_there_then() {
    let memory = marked_pages();
    let first = start(|| {
        process::yield_now();
        expect_marks(memory, LEN_PAGES, 1);
        mark_pages(memory, LEN_PAGES, 1000);
    });
    mark_pages(memory, LEN_PAGES / 2, 2000);
    let second = start(|| {
        expect_marks(memory, LEN_PAGES / 2, 2000);
        expect_marks(
            memory + PAGES.len / 2,
            LEN_PAGES / 2,
            LEN_PAGES as u64 / 2 + 1,
        );
        mark_pages(memory, LEN_PAGES, 3000);
        expect_marks(memory, LEN_PAGES, 3000);
    });
    mark_pages(memory + PAGES.len / 2, LEN_PAGES / 2, 4000);
    join(first);
    join(second);
    expect_marks(memory, LEN_PAGES / 2, 2000);
    expect_marks(memory + PAGES.len / 2, LEN_PAGES / 2, 4000);
}

fn a_grandchild_has_its_own_memory() {
    let memory = marked_pages();
    join(start(|| {
        let grandchild = start(|| {
            expect_marks(memory, LEN_PAGES, 1);
            mark_pages(memory, LEN_PAGES, 3000);
            expect_marks(memory, LEN_PAGES, 3000);
        });
        mark_pages(memory, LEN_PAGES, 2000);
        join(grandchild);
        expect_marks(memory, LEN_PAGES, 2000);
    }));
    expect_marks(memory, LEN_PAGES, 1);
}

fn what_a_child_unmaps_the_parent_keeps() {
    let memory = marked_pages();
    join(start(|| {
        // SAFETY: nothing here uses it.
        ok(unsafe { unmap(memory + 100 * PAGE_SIZE, 50 * PAGE_SIZE) });
        expect_marks(memory, 100, 1);
        expect_marks(memory + 150 * PAGE_SIZE, 450, 151);
        expect_fatal("a read of the hole", || {
            peek(memory + 120 * PAGE_SIZE);
        });
        // SAFETY: as above.
        ok(unsafe { unmap(memory, PAGES.len) });
        assert_eq!(mapping(memory), Err(Errno::EFAULT));
        ok(map(&PAGES));
        assert_eq!(peek(memory + PAGE_SIZE), 0);
    }));
    expect_marks(memory, LEN_PAGES, 1);
    mark_pages(memory, LEN_PAGES, 2);
    expect_marks(memory, LEN_PAGES, 2);
}

fn what_a_child_maps_the_parent_has_not() {
    let behind = PAGES.at(AREA_START + PAGES.len);
    let memory = marked_pages();
    join(start(|| {
        ok(map(&behind));
        mark_pages(behind.address, LEN_PAGES, 1);
        expect_marks(memory, LEN_PAGES, 1);
    }));
    assert_eq!(mapping(behind.address), Err(Errno::EFAULT));
    ok(map(&behind));
    assert_eq!(peek(behind.address), 0);
}

fn what_a_child_protects_and_moves_stays_as_it_was_in_the_parent() {
    let memory = marked_pages();
    join(start(|| {
        ok(protect(memory, 300 * PAGE_SIZE, Protection::READ));
        ok(move_frames(memory + 100 * PAGE_SIZE, 400 * PAGE_SIZE));
        expect_marks(memory, LEN_PAGES, 1);
        expect_fatal("a write", || poke(memory + 200 * PAGE_SIZE, 9));
        mark_pages(memory + 300 * PAGE_SIZE, 300, 5000);
        expect_marks(memory + 300 * PAGE_SIZE, 300, 5000);
    }));
    expect_marks(memory, LEN_PAGES, 1);
    assert_eq!(ok(mapping(memory)).len, PAGES.len as u64);
    mark_pages(memory, LEN_PAGES, 2);
    expect_marks(memory, LEN_PAGES, 2);
}

fn what_the_parent_changes_after_the_fork_the_child_keeps() {
    let memory = marked_pages();
    let (reader, writer) = ok(ulib::file::pipe());
    let child = start(|| {
        assert_eq!(reader.read(&mut [0]), Ok(1));
        expect_marks(memory, LEN_PAGES, 1);
        mark_pages(memory, LEN_PAGES, 4000);
        expect_marks(memory, LEN_PAGES, 4000);
    });
    ok(protect(memory, 300 * PAGE_SIZE, Protection::READ));
    ok(move_frames(memory, PAGES.len));
    // SAFETY: nothing here uses it.
    ok(unsafe { unmap(memory + 200 * PAGE_SIZE, 200 * PAGE_SIZE) });
    mark_pages(memory + 400 * PAGE_SIZE, 200, 9);
    ok(writer.write_all(&[1]));
    join(child);
    expect_marks(memory, 200, 1);
    expect_marks(memory + 400 * PAGE_SIZE, 200, 9);
}

fn a_child_that_touches_nothing_costs_no_page() {
    let memory = marked_pages();
    let is_sharing = do_forks_share(memory);
    let (reader, writer) = ok(ulib::file::pipe());
    let before = process::sysinfo().anonymous_frames;
    let child = start(|| {
        let _ = reader.read(&mut [0]);
    });
    let more = process::sysinfo().anonymous_frames - before;
    if is_sharing {
        // Those of its stack and its static data.
        assert!(more < 50, "{more} of {LEN_PAGES} pages were copied");
    } else {
        // fork=eager and fork=naive.
        assert!(
            more >= LEN_PAGES as u64,
            "{more} of {LEN_PAGES} pages were copied"
        );
    }
    ok(writer.write_all(&[1]));
    join(child);
    expect_marks(memory, LEN_PAGES, 1);
}

fn pages_that_come_after_the_fork_are_separate() {
    let memory = ok(map(&PAGES));
    let children = [1, 2, 3].map(|value| {
        start(move || {
            mark_pages(memory, LEN_PAGES, value * 1000);
            expect_marks(memory, LEN_PAGES, value * 1000);
        })
    });
    mark_pages(memory, LEN_PAGES, 5);
    children.into_iter().for_each(join);
    expect_marks(memory, LEN_PAGES, 5);
}

fn forks_of_a_large_memory_keep_every_page() {
    let large = MapRequest::anonymous(4096 * PAGE_SIZE).at(AREA_START);
    let memory = ok(map(&large));
    mark_pages(memory, 4096, 1);
    for round in 0..3 {
        let first = round * 1300;
        join(start(|| {
            mark_pages(memory + first * PAGE_SIZE, 600, 50_000);
            expect_marks(memory, first, 1);
            expect_marks(memory + first * PAGE_SIZE, 600, 50_000);
        }));
        expect_marks(memory, 4096, 1);
    }
}
