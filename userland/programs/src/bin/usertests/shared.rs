//! Shared mappings: who sees what is stored.

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping, unmap};
use ulib::{Errno, MapFlags, PageState, Whence, process};

use crate::check::{AREA_START, expect_marks, join, mark_pages, ok, peek, poke, start};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::runner::tests;

tests![
    parent_and_child_see_each_others_stores,
    a_page_that_the_child_touches_first_is_the_parents_too,
    shared_memory_is_zero_at_first_and_free_at_the_end,
    shared_memory_stays_for_the_others_when_one_unmaps_it,
    private_memory_beside_shared_memory_stays_private,
    stores_reach_the_file,
    writes_to_the_file_reach_the_mapping,
    two_mappings_of_a_file_are_the_same_memory,
    a_private_mapping_beside_a_shared_one_keeps_its_own_writes,
    stores_behind_the_end_do_not_make_the_file_longer,
    the_kernel_writes_into_shared_memory_for_all,
    a_shared_page_is_said_to_be_shared,
];

const SHARED: MapRequest = MapRequest::anonymous(4 * PAGE_SIZE).flags(MapFlags::SHARED);

fn parent_and_child_see_each_others_stores() {
    let memory = ok(map(&SHARED));
    mark_pages(memory, 4, 1);
    join(start(|| {
        expect_marks(memory, 4, 1);
        mark_pages(memory, 4, 10);
        join(start(|| {
            expect_marks(memory, 4, 10);
            mark_pages(memory, 2, 20);
        }));
        expect_marks(memory, 2, 20);
    }));
    expect_marks(memory, 2, 20);
    expect_marks(memory + 2 * PAGE_SIZE, 2, 12);

    // Both at once: each waits for the other's store.
    let child = start(|| {
        for turn in (1..100).step_by(2) {
            wait_for(memory + 8, turn);
            poke(memory + 8, turn + 1);
        }
    });
    for turn in (0..100).step_by(2) {
        wait_for(memory + 8, turn);
        poke(memory + 8, turn + 1);
    }
    join(child);
    assert_eq!(peek(memory + 8), 100);
}

fn wait_for(address: usize, value: u64) {
    while peek(address) != value {
        process::yield_now();
    }
}

fn a_page_that_the_child_touches_first_is_the_parents_too() {
    let memory = ok(map(&SHARED));
    join(start(|| mark_pages(memory, 4, 5)));
    expect_marks(memory, 4, 5);
}

fn shared_memory_is_zero_at_first_and_free_at_the_end() {
    let before = process::sysinfo();
    for eager in [MapFlags::empty(), MapFlags::EAGER] {
        let memory = ok(map(&SHARED.flags(eager)));
        join(start(|| {
            for page in 0..4 {
                assert_eq!(peek(memory + page * PAGE_SIZE), 0);
            }
            mark_pages(memory, 4, 1);
        }));
        // SAFETY: nothing uses it any more.
        ok(unsafe { unmap(memory, SHARED.len) });
        assert_eq!(process::sysinfo().anonymous_frames, before.anonymous_frames);
    }
}

fn shared_memory_stays_for_the_others_when_one_unmaps_it() {
    let memory = ok(map(&SHARED));
    mark_pages(memory, 4, 1);
    join(start(|| {
        // SAFETY: nothing here uses it any more.
        ok(unsafe { unmap(memory, SHARED.len) });
        assert_eq!(mapping(memory), Err(Errno::EFAULT));
    }));
    expect_marks(memory, 4, 1);
    let child = start(|| {
        wait_for(memory, 50);
        expect_marks(memory, 4, 50);
    });
    mark_pages(memory + PAGE_SIZE, 3, 51);
    poke(memory, 50);
    // SAFETY: as above.
    ok(unsafe { unmap(memory, SHARED.len) });
    join(child);
}

fn private_memory_beside_shared_memory_stays_private() {
    let shared = ok(map(&SHARED.at(AREA_START)));
    let private = ok(map(
        &MapRequest::anonymous(4 * PAGE_SIZE).at(AREA_START + SHARED.len)
    ));
    mark_pages(shared, 4, 1);
    mark_pages(private, 4, 1);
    join(start(|| {
        mark_pages(shared, 4, 10);
        mark_pages(private, 4, 10);
    }));
    expect_marks(shared, 4, 10);
    expect_marks(private, 4, 1);
}

/// The scratch file with two pages of ones.
fn open_file() -> File {
    fill_scratch(SCRATCH_A, &[1; 2 * PAGE_SIZE]);
    ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE))
}

fn shown(file: &File) -> MapRequest {
    MapRequest::file(file, 0, 2 * PAGE_SIZE).flags(MapFlags::SHARED)
}

fn word_at(file: &File, offset: usize) -> u64 {
    let mut bytes = [0; 8];
    ok(file.seek(offset as i64, Whence::Start));
    assert_eq!(file.read_full(&mut bytes), Ok(8));
    u64::from_ne_bytes(bytes)
}

fn stores_reach_the_file() {
    let file = open_file();
    let memory = ok(map(&shown(&file)));
    poke(memory, 2);
    assert_eq!(word_at(&file, 0), 2);
    join(start(|| poke(memory + PAGE_SIZE, 3)));
    assert_eq!(word_at(&file, PAGE_SIZE), 3);
    // SAFETY: nothing uses it any more.
    ok(unsafe { unmap(memory, 2 * PAGE_SIZE) });
    assert_eq!([word_at(&file, 0), word_at(&file, PAGE_SIZE)], [2, 3]);
    empty_scratch(SCRATCH_A);
}

fn writes_to_the_file_reach_the_mapping() {
    let file = open_file();
    let memory = ok(map(&shown(&file)));
    for value in 2..10_u64 {
        ok(file.seek(16, Whence::Start));
        ok(file.write_all(&value.to_ne_bytes()));
        assert_eq!(peek(memory + 16), value);
        poke(memory + 24, value);
    }
    empty_scratch(SCRATCH_A);
}

fn two_mappings_of_a_file_are_the_same_memory() {
    let file = open_file();
    let memory = ok(map(&shown(&file)));
    join(start(|| {
        let again = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
        let second_page = MapRequest {
            offset: PAGE_SIZE as u64,
            len: PAGE_SIZE,
            ..shown(&again)
        };
        let other = ok(map(&second_page));
        poke(memory + PAGE_SIZE, 7);
        assert_eq!(peek(other), 7);
        poke(other + 8, 8);
    }));
    assert_eq!(
        [peek(memory + PAGE_SIZE), peek(memory + PAGE_SIZE + 8)],
        [7, 8]
    );
    empty_scratch(SCRATCH_A);
}

fn a_private_mapping_beside_a_shared_one_keeps_its_own_writes() {
    let file = open_file();
    let shared = ok(map(&shown(&file)));
    let private = ok(map(&MapRequest::file(&file, 0, 2 * PAGE_SIZE)));
    poke(shared, 2);
    assert_eq!(peek(private), 2, "it has not been written here yet");
    poke(private, 3);
    poke(shared + 8, 4);
    assert_eq!([peek(shared), peek(private)], [2, 3]);
    assert_ne!(peek(private + 8), 4);
    assert_eq!(word_at(&file, 0), 2);
    empty_scratch(SCRATCH_A);
}

fn stores_behind_the_end_do_not_make_the_file_longer() {
    fill_scratch(SCRATCH_A, &[1; 8]);
    let file = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
    let memory = ok(map(&shown(&file)));
    poke(memory + 8, 2);
    poke(memory + PAGE_SIZE, 3);
    assert_eq!(file.seek(0, Whence::End), Ok(8));
    ok(file.seek(24, Whence::Start));
    ok(file.write_all(&[1]));
    assert_eq!([word_at(&file, 8), word_at(&file, 16)], [0, 0]);
    empty_scratch(SCRATCH_A);
}

fn the_kernel_writes_into_shared_memory_for_all() {
    let memory = ok(map(&SHARED));
    join(start(|| {
        let hello = ok(File::open("hello", OpenFlags::READ));
        // SAFETY: the kernel writes into the mapping only.
        let read =
            unsafe { ulib::system_call::read(hello.descriptor(), memory as *mut u8, SHARED.len) };
        assert_eq!(read, SHARED.len as isize);
    }));
    assert_eq!(&peek(memory).to_ne_bytes()[..4], b"\x7fELF");
}

fn a_shared_page_is_said_to_be_shared() {
    let memory = ok(map(&SHARED));
    poke(memory, 1);
    let info = ok(mapping(memory));
    assert!(
        info.flags()
            .contains(MapFlags::SHARED | MapFlags::ANONYMOUS)
    );
    let all = PageState::PRESENT | PageState::WRITABLE;
    assert!(info.page().contains(all));
    let file = open_file();
    let info = ok(mapping(ok(map(&shown(&file)))));
    assert_eq!(info.flags(), MapFlags::SHARED);
    empty_scratch(SCRATCH_A);
}
