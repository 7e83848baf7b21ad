//! `map`: anonymous memory and files, and what is refused.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP};
use abi::{NO_FILE, OpenFlags};
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, Mapping, map, mapping};
use ulib::{Errno, MapFlags, PageState, Protection, process};

use crate::check::{
    AREA_START, BAD_RANGES, UNMAPPED, expect_fatal, lonely_page, mark_pages, ok, peek, poke,
};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::runner::tests;

tests![
    anonymous_memory_is_zero_and_keeps_what_is_stored,
    memory_that_somebody_else_had_is_zero,
    a_mapping_goes_exactly_where_it_shall,
    mappings_that_the_kernel_places_do_not_overlap,
    a_mapping_over_anything_else_is_refused,
    a_refused_mapping_changes_nothing,
    map_refuses_bad_ranges,
    map_refuses_bits_without_a_meaning,
    map_refuses_what_does_not_go_together,
    map_refuses_files_that_cannot_be_mapped,
    a_lazy_mapping_costs_nothing_until_it_is_touched,
    an_eager_mapping_is_there_at_once,
    an_eager_mapping_needs_memory_and_a_lazy_one_does_not,
    there_is_no_place_for_a_mapping_of_all_user_space,
    a_file_shows_from_its_offset_with_zeros_behind_its_end,
    private_writes_do_not_reach_the_file,
    a_mapped_file_may_be_closed,
    a_private_page_shows_what_others_write_until_it_is_written,
    memory_that_may_be_written_and_executed_runs_what_is_written,
    memory_that_may_not_be_executed_does_not_run,
];

const PAGES: MapRequest = MapRequest::anonymous(4 * PAGE_SIZE);

fn anonymous_memory_is_zero_and_keeps_what_is_stored() {
    let memory = ok(Mapping::new(&PAGES));
    let start = memory.address();
    for address in (start..start + memory.len()).step_by(8) {
        assert_eq!(peek(address), 0);
        poke(address, address as u64);
    }
    for address in (start..start + memory.len()).step_by(8) {
        assert_eq!(peek(address), address as u64);
    }
}

fn memory_that_somebody_else_had_is_zero() {
    for value in 1..20 {
        let memory = ok(Mapping::new(&PAGES));
        for page in 0..4 {
            assert_eq!(peek(memory.address() + page * PAGE_SIZE + 8 * page), 0);
        }
        mark_pages(memory.address(), 4, value);
    }
}

fn a_mapping_goes_exactly_where_it_shall() {
    for address in [AREA_START, AREA_START + 0x1234_5000, UNMAPPED] {
        assert_eq!(map(&PAGES.at(address)), Ok(address));
        poke(address + 3 * PAGE_SIZE, 1);
    }
}

fn mappings_that_the_kernel_places_do_not_overlap() {
    let places: [usize; 20] = core::array::from_fn(|number| {
        let address = ok(map(&PAGES));
        mark_pages(address, 4, number as u64);
        address
    });
    for (number, address) in (0..).zip(places) {
        assert_eq!(peek(address), number);
        assert_eq!(peek(address + 3 * PAGE_SIZE), number + 3);
    }
}

fn a_mapping_over_anything_else_is_refused() {
    let (start, one_page) = (AREA_START + (1 << 30), MapRequest::anonymous(PAGE_SIZE));
    assert_eq!(map(&PAGES.at(start)), Ok(start));
    let _page_of_page_alloc = lonely_page();
    for request in [
        one_page.at(start),
        one_page.at(start + 3 * PAGE_SIZE),
        PAGES.at(start - 3 * PAGE_SIZE),
        PAGES.at(start + 3 * PAGE_SIZE),
        MapRequest::anonymous(8 * PAGE_SIZE).at(start - 2 * PAGE_SIZE),
        one_page.at(PROGRAM_BASE),
        one_page.at(STACK_TOP - PAGE_SIZE),
        one_page.at(AREA_START),
        PAGES.at(AREA_START - PAGE_SIZE).flags(MapFlags::SHARED),
    ] {
        assert_eq!(map(&request), Err(Errno::EEXIST), "{request:?}");
    }
    // Touching is not overlapping.
    assert_eq!(map(&one_page.at(start - PAGE_SIZE)), Ok(start - PAGE_SIZE));
    let behind = start + 4 * PAGE_SIZE;
    assert_eq!(map(&one_page.at(behind)), Ok(behind));
}

fn a_refused_mapping_changes_nothing() {
    let start = ok(map(&PAGES.at(AREA_START)));
    mark_pages(start, 4, 10);
    let eager = PAGES.at(start - 2 * PAGE_SIZE).flags(MapFlags::EAGER);
    assert_eq!(map(&eager), Err(Errno::EEXIST));
    crate::check::expect_marks(start, 4, 10);
    assert_eq!(mapping(start - PAGE_SIZE), Err(Errno::EFAULT));
    assert_eq!(ok(mapping(start)).start, start as u64);
}

fn map_refuses_bad_ranges() {
    for (address, len) in BAD_RANGES {
        let request = MapRequest::anonymous(len).at(address);
        assert_eq!(map(&request), Err(Errno::EINVAL), "{request:?}");
    }
    for len in [0, 1, PAGE_SIZE + 1, usize::MAX] {
        let result = map(&MapRequest::anonymous(len));
        assert_eq!(result, Err(Errno::EINVAL), "{len:#x} bytes anywhere");
    }
}

fn map_refuses_bits_without_a_meaning() {
    for bit in (0..32).map(|bit| 1 << bit) {
        let protection = PAGES.protection(Protection::from_bits_retain(bit));
        let is_known = Protection::all().bits() & bit != 0;
        assert_eq!(map(&protection).is_ok(), is_known, "{protection:?}");
        if MapFlags::all().bits() & bit == 0 {
            let flags = PAGES.flags(MapFlags::from_bits_retain(bit));
            assert_eq!(map(&flags), Err(Errno::EINVAL), "{flags:?}");
        }
    }
}

fn map_refuses_what_does_not_go_together() {
    let hello = ok(File::open("hello", OpenFlags::READ));
    let (file, page) = (MapRequest::file(&hello, 0, PAGE_SIZE), PAGE_SIZE as u64);
    let grows = PAGES.flags(MapFlags::GROW_DOWN);
    for request in [
        file.flags(MapFlags::ANONYMOUS),
        file.flags(MapFlags::GROW_DOWN),
        file.flags(MapFlags::GROW_UP),
        PAGES.limit(4 * PAGE_SIZE),
        grows.flags(MapFlags::GROW_UP),
        grows.flags(MapFlags::SHARED),
        grows.limit(3 * PAGE_SIZE),
        grows.limit(5 * PAGE_SIZE + 1),
        MapRequest { offset: 1, ..file },
        MapRequest {
            offset: page - 8,
            ..file
        },
        MapRequest {
            offset: u64::MAX,
            ..file
        },
        MapRequest {
            offset: !0xfff,
            ..file
        },
    ] {
        assert_eq!(map(&request), Err(Errno::EINVAL), "{request:?}");
    }
}

fn map_refuses_files_that_cannot_be_mapped() {
    let request = |fd| MapRequest {
        fd,
        flags: MapFlags::empty(),
        ..PAGES
    };
    for fd in [NO_FILE, -2, 99, i32::MAX, i32::MIN] {
        assert_eq!(map(&request(fd)), Err(Errno::EBADF), "descriptor {fd}");
    }
    let (reader, writer) = ok(file::pipe());
    let directory = ok(File::open("/", OpenFlags::READ));
    for fd in [
        0,
        reader.descriptor(),
        writer.descriptor(),
        directory.descriptor(),
    ] {
        assert_eq!(map(&request(fd)), Err(Errno::ENODEV), "descriptor {fd}");
    }
    let only = |flags| ok(File::open(SCRATCH_A, flags));
    let (read, write) = (only(OpenFlags::READ), only(OpenFlags::WRITE));
    let shared = |file: &File| request(file.descriptor()).flags(MapFlags::SHARED);
    for request in [
        request(write.descriptor()),
        shared(&write),
        shared(&read),
        shared(&write).protection(Protection::READ),
    ] {
        assert_eq!(map(&request), Err(Errno::EACCES), "{request:?}");
    }
    assert!(map(&shared(&read).protection(Protection::READ)).is_ok());
}

fn a_lazy_mapping_costs_nothing_until_it_is_touched() {
    let before = process::sysinfo().anonymous_frames;
    let memory = ok(Mapping::new(&MapRequest::anonymous(1 << 40)));
    assert_eq!(process::sysinfo().anonymous_frames, before);
    let touched = memory.address() + (1 << 39);
    assert_eq!(ok(mapping(touched)).page(), PageState::empty());
    poke(touched, 1);
    assert_eq!(process::sysinfo().anonymous_frames, before + 1);
    assert!(ok(mapping(touched)).page().contains(PageState::PRESENT));
    let next = ok(mapping(touched + PAGE_SIZE));
    assert!(!next.page().contains(PageState::PRESENT));
}

fn an_eager_mapping_is_there_at_once() {
    let before = process::sysinfo().anonymous_frames;
    let memory = ok(Mapping::new(&PAGES.flags(MapFlags::EAGER)));
    assert_eq!(process::sysinfo().anonymous_frames, before + 4);
    let there = PageState::PRESENT | PageState::WRITABLE;
    for page in 0..4 {
        let address = memory.address() + page * PAGE_SIZE;
        assert!(ok(mapping(address)).page().contains(there), "page {page}");
        poke(address, 1);
    }
    assert_eq!(process::sysinfo().anonymous_frames, before + 4);
}

fn an_eager_mapping_needs_memory_and_a_lazy_one_does_not() {
    let before = process::sysinfo();
    let more_than_there_is = (before.total_frames as usize + 1) * PAGE_SIZE;
    let request = MapRequest::anonymous(more_than_there_is);
    assert_eq!(map(&request.flags(MapFlags::EAGER)), Err(Errno::ENOMEM));
    // What a process that has just ended had may come back meanwhile; the accounts after the test are exact.
    let all_is_back = process::sysinfo().anonymous_frames <= before.anonymous_frames;
    assert!(all_is_back, "a part is left");
    assert!(map(&request).is_ok());
}

fn there_is_no_place_for_a_mapping_of_all_user_space() {
    let all = abi::layout::USER_END - abi::layout::USER_START;
    assert_eq!(
        map(&MapRequest::anonymous(all + (1 << 56))),
        Err(Errno::ENOMEM)
    );
    assert_eq!(map(&PAGES.at(AREA_START)), Ok(AREA_START));
}

/// A file of two pages and a few bytes.
fn make_file() -> File {
    let mut contents = [b'0'; 2 * PAGE_SIZE + 8];
    contents[PAGE_SIZE..].fill(b'1');
    contents[2 * PAGE_SIZE..].fill(b'2');
    fill_scratch(SCRATCH_A, &contents);
    ok(File::open(SCRATCH_A, OpenFlags::READ))
}

const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
const ONES: u64 = u64::from_ne_bytes([b'1'; 8]);
const TWOS: u64 = u64::from_ne_bytes([b'2'; 8]);

fn a_file_shows_from_its_offset_with_zeros_behind_its_end() {
    let file = make_file();
    for eager in [MapFlags::empty(), MapFlags::EAGER] {
        let whole = MapRequest::file(&file, 0, 4 * PAGE_SIZE).flags(eager);
        let start = ok(map(&whole.protection(Protection::READ)));
        let words = [0, PAGE_SIZE - 8, PAGE_SIZE, 2 * PAGE_SIZE].map(|at| peek(start + at));
        assert_eq!(words, [ZEROS, ZEROS, ONES, TWOS]);
        for behind in [2 * PAGE_SIZE + 8, 3 * PAGE_SIZE - 8, 3 * PAGE_SIZE] {
            assert_eq!(peek(start + behind), 0, "{behind:#x}");
        }
        let second = ok(map(&MapRequest::file(&file, PAGE_SIZE as u64, PAGE_SIZE)));
        assert_eq!([peek(second), peek(second + PAGE_SIZE - 8)], [ONES; 2]);
        let behind = ok(map(&MapRequest::file(&file, 1 << 40, PAGE_SIZE)));
        assert_eq!(peek(behind), 0);
    }
    empty_scratch(SCRATCH_A);
}

fn private_writes_do_not_reach_the_file() {
    let file = make_file();
    let [one, other] =
        [0; 2].map(|offset| ok(map(&MapRequest::file(&file, offset, 4 * PAGE_SIZE))));
    for page in 0..4 {
        poke(one + page * PAGE_SIZE, 7);
    }
    let words = [0, PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE].map(|at| peek(other + at));
    assert_eq!(words, [ZEROS, ONES, TWOS, 0], "another mapping sees it");
    let mut bytes = [0; 2 * PAGE_SIZE + 100];
    assert_eq!(file.read_full(&mut bytes), Ok(2 * PAGE_SIZE + 8));
    assert_eq!(bytes[..8], ZEROS.to_ne_bytes());
    assert_eq!(bytes[2 * PAGE_SIZE..][..8], TWOS.to_ne_bytes());
    assert_eq!(peek(one + 8), ZEROS, "the rest of the page is the file's");
    empty_scratch(SCRATCH_A);
}

fn a_mapped_file_may_be_closed() {
    let start = ok(map(&MapRequest::file(&make_file(), 0, 2 * PAGE_SIZE)));
    assert_eq!([peek(start), peek(start + PAGE_SIZE)], [ZEROS, ONES]);
    empty_scratch(SCRATCH_A);
}

fn a_private_page_shows_what_others_write_until_it_is_written() {
    let start = ok(map(&MapRequest::file(&make_file(), 0, PAGE_SIZE)));
    assert_eq!(peek(start), ZEROS);
    let writer = ok(File::open(SCRATCH_A, OpenFlags::WRITE));
    ok(writer.write_all(&ONES.to_ne_bytes()));
    assert_eq!(peek(start), ONES);
    poke(start + 8, 7);
    ok(writer.seek(0, ulib::Whence::Start));
    ok(writer.write_all(&TWOS.to_ne_bytes()));
    assert_eq!([peek(start), peek(start + 8)], [ONES, 7]);
    empty_scratch(SCRATCH_A);
}

/// `mov eax, 42`, `ret`.
const RETURN_42: u64 = u64::from_le_bytes([0xb8, 42, 0, 0, 0, 0xc3, 0xcc, 0xcc]);

/// Calls what has been written to `address`.
fn call(address: usize) -> i32 {
    // SAFETY: the tests have stored a function of this type there, or the call ends the process.
    let function: extern "C" fn() -> i32 = unsafe { core::mem::transmute(address) };
    function()
}

fn memory_that_may_be_written_and_executed_runs_what_is_written() {
    let all = Protection::READ | Protection::WRITE | Protection::EXECUTE;
    let start = ok(map(&PAGES.protection(all)));
    poke(start, RETURN_42);
    assert_eq!(call(start), 42);
    poke(start, RETURN_42 + (1 << 8));
    assert_eq!(call(start), 43, "what was there before ran");
}

fn memory_that_may_not_be_executed_does_not_run() {
    let start = ok(map(&PAGES));
    poke(start, RETURN_42);
    expect_fatal("a call into data", || {
        call(start);
    });
}
