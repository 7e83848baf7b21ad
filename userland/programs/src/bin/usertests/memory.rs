//! Memory from `page_alloc`, copy-on-write, and the heap over it.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP};
use abi::{OpenFlags, decode};
use ulib::file::{self, File};
use ulib::mapping::{MapRequest, map, mapping};
use ulib::memory::Area;
use ulib::{Errno, process, system_call};

use crate::check::{
    AREA_START, KERNEL_TEXT, LAST_PAGE, NOT_CANONICAL, area, join, lonely_page, ok, start,
};
use crate::runner::tests;

tests![
    fresh_pages_are_zero_although_others_have_written_there,
    page_alloc_refuses_bad_addresses,
    page_alloc_replaces_its_own_pages_and_nothing_else,
    a_range_is_mapped_whole_or_not_at_all,
    more_memory_than_there_is_is_an_error,
    allocated_pages_are_separate_after_fork,
    the_kernel_writes_into_a_copy_of_a_shared_page,
    the_kernel_writes_a_status_into_a_copy_of_a_shared_page,
    siblings_that_share_a_page_each_get_their_own,
    the_parent_gets_a_page_back_when_the_child_has_gone,
    the_heap_grows_and_keeps_what_is_in_it,
    the_whole_stack_can_be_used,
    memory_at_both_ends_of_user_space_works,
];

pub(crate) fn page_alloc(address: usize) -> Result<usize, Errno> {
    // SAFETY: the tests only name addresses at which they have nothing, or nothing that they still need.
    decode(unsafe { system_call::page_alloc(address) })
}

fn page_alloc_range(address: usize, len_pages: usize) -> Result<usize, Errno> {
    // SAFETY: as for `page_alloc`.
    decode(unsafe { system_call::page_alloc_range(address, len_pages) })
}

fn fresh_pages_are_zero_although_others_have_written_there() {
    for _ in 0..3 {
        join(start(|| {
            let mut area = area();
            ok(area.grow(64));
            assert!(
                area.words().iter().all(|&word| word == 0),
                "somebody's data"
            );
            area.words().fill(u64::MAX);
        }));
    }
}

fn page_alloc_refuses_bad_addresses() {
    let addresses = [
        AREA_START + 1,
        AREA_START + PAGE_SIZE / 2,
        0,
        PAGE_SIZE,
        KERNEL_TEXT,
        NOT_CANONICAL,
        0x7fff_ffff_f000,
        LAST_PAGE,
    ];
    for address in addresses {
        assert_eq!(page_alloc(address), Err(Errno::EINVAL), "{address:#x}");
        assert_eq!(
            page_alloc_range(address, 2),
            Err(Errno::EINVAL),
            "{address:#x}"
        );
    }
    for (address, len_pages) in [
        (AREA_START, 0),
        (AREA_START, usize::MAX),
        (AREA_START, usize::MAX / PAGE_SIZE),
        (AREA_START, 1 << 52),
        (LAST_PAGE - PAGE_SIZE, 2),
    ] {
        assert_eq!(
            page_alloc_range(address, len_pages),
            Err(Errno::EINVAL),
            "{address:#x}, {len_pages} pages"
        );
    }
}

fn page_alloc_replaces_its_own_pages_and_nothing_else() {
    let mut area = area();
    ok(area.grow(3));
    area.words().fill(7);
    assert_eq!(page_alloc(AREA_START + PAGE_SIZE), Ok(0));
    let pages = [0, 1, 2].map(|index| area.page(index)[100]);
    assert_eq!(pages, [7, 0, 7]);
    for address in [PROGRAM_BASE, STACK_TOP - PAGE_SIZE] {
        assert_eq!(page_alloc(address), Err(Errno::EEXIST), "{address:#x}");
    }
}

fn a_range_is_mapped_whole_or_not_at_all() {
    let in_the_way = MapRequest::anonymous(PAGE_SIZE).at(AREA_START + 3 * PAGE_SIZE);
    ok(map(&in_the_way));
    assert_eq!(page_alloc_range(AREA_START, 5), Err(Errno::EEXIST));
    for page in [0, 2, 4] {
        let left = mapping(AREA_START + page * PAGE_SIZE);
        assert_eq!(left, Err(Errno::EFAULT), "page {page} is left");
    }
}

fn more_memory_than_there_is_is_an_error() {
    let total = process::sysinfo().total_frames as usize;
    assert_eq!(page_alloc_range(AREA_START, total + 1), Err(Errno::ENOMEM));
    assert_eq!(page_alloc_range(AREA_START, 1 << 32), Err(Errno::ENOMEM));
    assert_eq!(
        page_alloc_range(AREA_START, 1),
        Ok(0),
        "all of it is free again"
    );
}

fn allocated_pages_are_separate_after_fork() {
    let mut area = area();
    ok(area.grow(8));
    area.words().fill(1);
    join(start(|| {
        assert!(area.words().iter().all(|&word| word == 1));
        area.words().fill(2);
        assert!(area.words().iter().all(|&word| word == 2));
    }));
    assert!(area.words().iter().all(|&word| word == 1));
}

/// A write by the kernel for the child must not show in the parent.
fn the_kernel_writes_into_a_copy_of_a_shared_page() {
    let mut area = lonely_page();
    area.words().fill(1);
    let bytes = area.words().as_mut_ptr().cast::<u8>();
    join(start(|| {
        let program = ok(File::open("hello", OpenFlags::READ));
        // SAFETY: the area is as long as that, and nothing else uses it now.
        let len = ok(decode(unsafe {
            system_call::read(program.descriptor(), bytes, PAGE_SIZE)
        }));
        assert_eq!(len, PAGE_SIZE);
        assert_ne!(area.words()[0], 1);
    }));
    assert!(
        area.words().iter().all(|&word| word == 1),
        "the parent sees what the child has read"
    );
}

fn the_kernel_writes_a_status_into_a_copy_of_a_shared_page() {
    let mut area = lonely_page();
    area.words().fill(1);
    let status = area.words().as_mut_ptr().cast::<i32>();
    join(start(|| {
        let grandchild = ok(process::start(|| 77));
        // SAFETY: the area has room for a status, and nothing else uses it now.
        let ended = unsafe { system_call::waitpid(grandchild, status, 0) };
        assert_eq!(ended, grandchild as isize);
        assert_eq!(area.words()[0] as i32, 77);
    }));
    assert_eq!(area.words()[0], 1);
}

fn siblings_that_share_a_page_each_get_their_own() {
    let mut area = lonely_page();
    area.words().fill(1);
    let children = [2, 3, 4, 5, 6].map(|value| {
        start(|| {
            for index in 0..PAGE_SIZE / 8 {
                assert_eq!(area.words()[index], 1);
                area.words()[index] = value;
                if index % 100 == 0 {
                    process::yield_now();
                }
            }
            assert!(area.words().iter().all(|&word| word == value));
        })
    });
    children.into_iter().for_each(join);
    assert!(area.words().iter().all(|&word| word == 1));
}

fn the_parent_gets_a_page_back_when_the_child_has_gone() {
    let mut area = lonely_page();
    for value in 1..20 {
        area.words().fill(value);
        join(start(|| assert_eq!(area.words()[5], value)));
        let before = process::sysinfo();
        area.words().fill(100 + value);
        assert_eq!(
            process::sysinfo().anonymous_frames,
            before.anonymous_frames,
            "a page nobody shares was copied"
        );
    }
}

fn the_heap_grows_and_keeps_what_is_in_it() {
    let mut blocks = alloc::vec::Vec::new();
    for number in 0..300_usize {
        let len = 1 + number * 131 % 9000;
        blocks.push(alloc::vec![number as u8; len]);
        if number % 3 == 0 {
            let gone = blocks.swap_remove(number % blocks.len());
            assert!(gone.iter().all(|&byte| byte == gone[0]));
        }
    }
    assert!(
        blocks
            .iter()
            .all(|block| block.iter().all(|&byte| byte == block[0]))
    );
    let mut long = alloc::vec::Vec::new();
    (0..1_000_000_u32).for_each(|number| long.push(number));
    assert!(long.iter().zip(0..).all(|(&found, number)| found == number));
}

fn the_whole_stack_can_be_used() {
    let mut bytes = [1_u8; (abi::layout::STACK_LEN_PAGES - 4) * PAGE_SIZE];
    core::hint::black_box(&mut bytes).fill(2);
    assert!(core::hint::black_box(&bytes).iter().all(|&byte| byte == 2));
}

fn memory_at_both_ends_of_user_space_works() {
    for address in [abi::layout::USER_START, LAST_PAGE - PAGE_SIZE] {
        // SAFETY: nothing else is near the ends of user space.
        let mut area = unsafe { Area::at(address) };
        ok(area.grow(1));
        area.words().fill(3);
        let (reader, writer) = ok(file::pipe());
        let bytes = address as *mut u8;
        // SAFETY: the calls read and write the area's one page, which nothing else uses.
        unsafe {
            assert_eq!(
                system_call::write(writer.descriptor(), bytes, PAGE_SIZE),
                PAGE_SIZE as isize
            );
            assert_eq!(
                system_call::read(reader.descriptor(), bytes, PAGE_SIZE),
                PAGE_SIZE as isize
            );
        }
    }
}
