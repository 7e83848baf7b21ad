//! `protect`: rights of memory that is there already, and pinning.

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, map, mapping, protect, unmap};
use ulib::{Errno, MapFlags, Protection};

use crate::check::{
    AREA_START, BAD_RANGES, expect_fatal, expect_marks, join, lonely_page, mark_pages, ok, peek,
    poke, start,
};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::runner::tests;

tests![
    read_only_memory_cannot_be_written dies_by SIGSEGV,
    memory_without_any_right_can_be_read,
    a_right_that_comes_back_works_and_nothing_is_lost,
    pages_that_come_later_have_the_new_right,
    protecting_the_middle_cuts_a_mapping_in_three_and_the_same_rights_join_it,
    one_call_protects_several_mappings,
    a_hole_is_refused_and_then_nothing_has_changed,
    protect_refuses_bad_ranges_and_bits,
    the_kernel_does_not_write_into_read_only_memory,
    rights_are_each_processs_own_after_fork,
    a_page_that_becomes_writable_again_is_still_separate,
    a_shared_file_mapping_stays_as_writable_as_its_descriptor_was,
    protect_pins_and_unpins,
    pages_of_page_alloc_can_be_protected,
    program_text_can_be_made_writable_for_this_process_only,
];

const PAGES: MapRequest = MapRequest::anonymous(8 * PAGE_SIZE);
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

fn read_only_memory_cannot_be_written() {
    let memory = ok(map(&PAGES));
    poke(memory, 1);
    ok(protect(memory, PAGE_SIZE, Protection::READ));
    assert_eq!(peek(memory), 1);
    poke(memory, 2);
}

fn memory_without_any_right_can_be_read() {
    let memory = ok(map(&PAGES.protection(Protection::empty())));
    assert_eq!(peek(memory), 0);
    expect_fatal("a write", || poke(memory, 1));
}

fn a_right_that_comes_back_works_and_nothing_is_lost() {
    let memory = ok(map(&PAGES));
    for value in 1..20 {
        mark_pages(memory, 8, value);
        ok(protect(memory, PAGES.len, Protection::READ));
        expect_marks(memory, 8, value);
        ok(protect(memory, PAGES.len, READ_WRITE));
    }
}

fn pages_that_come_later_have_the_new_right() {
    let memory = ok(map(&PAGES));
    ok(protect(memory, PAGES.len, Protection::READ));
    expect_fatal("a write to a page that nobody had touched", || {
        poke(memory + PAGE_SIZE, 1)
    });
    assert_eq!(peek(memory + 2 * PAGE_SIZE), 0);
    ok(protect(memory, PAGES.len, READ_WRITE));
    mark_pages(memory, 8, 1);
    expect_marks(memory, 8, 1);
}

fn protecting_the_middle_cuts_a_mapping_in_three_and_the_same_rights_join_it() {
    let memory = ok(map(&PAGES.at(AREA_START)));
    mark_pages(memory, 8, 1);
    ok(protect(
        memory + 3 * PAGE_SIZE,
        2 * PAGE_SIZE,
        Protection::READ,
    ));
    let parts = [
        (0, 3, READ_WRITE),
        (3, 2, Protection::READ),
        (5, 3, READ_WRITE),
    ];
    for (first, len_pages, rights) in parts {
        let address = memory + first * PAGE_SIZE;
        let info = ok(mapping(address));
        assert_eq!(info.start, address as u64);
        assert_eq!(info.len, (len_pages * PAGE_SIZE) as u64);
        assert_eq!(info.protection(), rights, "from page {first} on");
    }
    expect_fatal("a write to the middle", || poke(memory + 4 * PAGE_SIZE, 1));
    mark_pages(memory, 3, 1);
    mark_pages(memory + 5 * PAGE_SIZE, 3, 6);
    expect_marks(memory, 8, 1);
    ok(protect(memory + 3 * PAGE_SIZE, 2 * PAGE_SIZE, READ_WRITE));
    let info = ok(mapping(memory + 4 * PAGE_SIZE));
    assert_eq!((info.start, info.len), (memory as u64, PAGES.len as u64));
}

fn one_call_protects_several_mappings() {
    let (low, high) = (AREA_START, AREA_START + PAGES.len);
    ok(map(&PAGES.at(low)));
    ok(map(&PAGES.at(high).protection(Protection::READ)));
    let hello = ok(File::open("hello", OpenFlags::READ));
    let above = MapRequest::file(&hello, 0, PAGE_SIZE).at(high + PAGES.len);
    ok(map(&above));
    let half = PAGES.len / 2;
    ok(protect(
        low + half,
        PAGES.len + half + PAGE_SIZE,
        READ_WRITE,
    ));
    for address in [low, low + half, high, high + half, above.address] {
        poke(address, 1);
    }
    ok(protect(low, 2 * PAGES.len + PAGE_SIZE, Protection::READ));
    for address in [low, high + half, above.address] {
        expect_fatal("a write", || poke(address, 2));
    }
}

fn a_hole_is_refused_and_then_nothing_has_changed() {
    let memory = ok(map(&PAGES.at(AREA_START)));
    // SAFETY: nothing uses the page.
    ok(unsafe { unmap(memory + 4 * PAGE_SIZE, PAGE_SIZE) });
    for (first, len_pages) in [(0, 8), (4, 1), (3, 2), (4, 2), (6, 3)] {
        let (address, len) = (memory + first * PAGE_SIZE, len_pages * PAGE_SIZE);
        for rights in [Protection::READ, READ_WRITE | Protection::PIN] {
            let result = protect(address, len, rights);
            assert_eq!(
                result,
                Err(Errno::EFAULT),
                "{len_pages} pages from {first} on"
            );
        }
    }
    for (address, len_pages) in [(memory, 4), (memory + 5 * PAGE_SIZE, 3)] {
        mark_pages(address, len_pages, 1);
        let info = ok(mapping(address));
        let len = (len_pages * PAGE_SIZE) as u64;
        assert_eq!((info.len, info.protection()), (len, READ_WRITE));
    }
}

fn protect_refuses_bad_ranges_and_bits() {
    for (address, len) in BAD_RANGES {
        let result = protect(address, len, Protection::READ);
        assert_eq!(result, Err(Errno::EINVAL), "{address:#x}, {len:#x} bytes");
    }
    let memory = ok(map(&PAGES));
    for bit in (0..32).map(|bit| 1 << bit) {
        if Protection::all().bits() & bit == 0 {
            let rights = Protection::from_bits_retain(bit);
            assert_eq!(protect(memory, PAGE_SIZE, rights), Err(Errno::EINVAL));
        }
    }
    poke(memory, 1);
}

fn the_kernel_does_not_write_into_read_only_memory() {
    let memory = ok(map(&PAGES));
    poke(memory, 7);
    ok(protect(memory, PAGE_SIZE, Protection::READ));
    let (reader, writer) = ok(file::pipe());
    let bytes = memory as *mut u8;
    // SAFETY: the kernel reads from one page, and cannot write there.
    unsafe {
        let written = ulib::system_call::write(writer.descriptor(), bytes, 8);
        assert_eq!(written, 8);
        let read = ulib::system_call::read(reader.descriptor(), bytes, 8);
        assert_eq!(abi::decode(read), Err(Errno::EFAULT));
    }
    assert_eq!(peek(memory), 7);
}

fn rights_are_each_processs_own_after_fork() {
    let memory = ok(map(&PAGES));
    mark_pages(memory, 8, 1);
    join(start(|| {
        ok(protect(memory, PAGES.len, Protection::READ));
        expect_fatal("a write in the child", || poke(memory, 2));
    }));
    mark_pages(memory, 8, 10);
    ok(protect(memory, PAGES.len, Protection::READ));
    join(start(|| {
        expect_fatal("a write before", || poke(memory, 2));
        ok(protect(memory, PAGES.len, READ_WRITE));
        mark_pages(memory, 8, 20);
    }));
    expect_marks(memory, 8, 10);
    expect_fatal("a write in the parent", || poke(memory, 2));
}

fn a_page_that_becomes_writable_again_is_still_separate() {
    let memory = ok(map(&PAGES));
    mark_pages(memory, 8, 1);
    let child = start(|| {
        ok(protect(memory, PAGES.len, Protection::READ));
        ok(protect(memory, PAGES.len, READ_WRITE));
        mark_pages(memory, 8, 20);
        expect_marks(memory, 8, 20);
    });
    ok(protect(memory, PAGES.len, Protection::READ));
    ok(protect(memory, PAGES.len, READ_WRITE));
    mark_pages(memory, 4, 40);
    join(child);
    expect_marks(memory, 4, 40);
    expect_marks(memory + 4 * PAGE_SIZE, 4, 5);
}

fn a_shared_file_mapping_stays_as_writable_as_its_descriptor_was() {
    fill_scratch(SCRATCH_A, &[b'0'; 8]);
    let read = ok(File::open(SCRATCH_A, OpenFlags::READ));
    let both = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
    let shown = |file| {
        let request = MapRequest::file(file, 0, PAGE_SIZE).flags(MapFlags::SHARED);
        ok(map(&request.protection(Protection::READ)))
    };
    let (read_only, writable) = (shown(&read), shown(&both));
    assert_eq!(
        protect(read_only, PAGE_SIZE, READ_WRITE),
        Err(Errno::EACCES)
    );
    let executable = Protection::READ | Protection::EXECUTE;
    assert_eq!(protect(read_only, PAGE_SIZE, executable), Ok(()));
    ok(protect(writable, PAGE_SIZE, READ_WRITE));
    poke(writable, 5);
    assert_eq!(peek(read_only), 5);
    empty_scratch(SCRATCH_A);
}

fn protect_pins_and_unpins() {
    let memory = ok(map(&PAGES.at(AREA_START)));
    mark_pages(memory, 8, 1);
    let is_pinned = |page: usize| {
        let info = ok(mapping(memory + page * PAGE_SIZE));
        info.protection().contains(Protection::PIN)
    };
    ok(protect(memory, 2 * PAGE_SIZE, READ_WRITE | Protection::PIN));
    assert_eq!([0, 1, 2].map(is_pinned), [true, true, false]);
    // Pinned memory may get other rights.
    ok(protect(
        memory,
        PAGE_SIZE,
        Protection::READ | Protection::PIN,
    ));
    expect_fatal("a write", || poke(memory, 2));
    ok(protect(memory, PAGES.len, READ_WRITE));
    assert_eq!([0, 1, 2].map(is_pinned), [false; 3]);
    assert_eq!(ok(mapping(memory)).len, PAGES.len as u64);
    expect_marks(memory, 8, 1);
}

fn pages_of_page_alloc_can_be_protected() {
    let mut page = lonely_page();
    page.words().fill(7);
    ok(protect(AREA_START, PAGE_SIZE, Protection::READ));
    assert_eq!(peek(AREA_START), 7);
    expect_fatal("a write", || poke(AREA_START, 8));
}

fn program_text_can_be_made_writable_for_this_process_only() {
    let text = program_text_can_be_made_writable_for_this_process_only as fn() as usize;
    let page = text & !(PAGE_SIZE - 1);
    let before = peek(page);
    join(start(|| {
        ok(protect(page, PAGE_SIZE, READ_WRITE | Protection::EXECUTE));
        poke(page, before);
        ok(protect(
            page,
            PAGE_SIZE,
            Protection::READ | Protection::EXECUTE,
        ));
        assert_eq!(peek(page), before);
    }));
    expect_fatal("a write to text", || poke(page, before));
}
