//! `mapping`: what it tells, and what it refuses.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP};
use abi::{OpenFlags, decode};
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping};
use ulib::{Errno, MapFlags, MappingInfo, PageState, Protection, system_call};

use crate::check::{
    KERNEL_TEXT, LAST_PAGE, NOT_CANONICAL, UNMAPPED, do_forks_share, join, lonely_page, ok, peek,
    poke, start,
};
use crate::runner::tests;

tests![
    a_mapping_is_told_as_it_was_made,
    a_program_and_its_stack_are_mappings,
    pages_of_page_alloc_are_told_from_others,
    a_page_is_told_from_its_first_touch_on,
    a_page_that_a_fork_shares_is_not_writable_until_it_is_written,
    mapping_refuses_what_is_no_user_address,
    an_address_in_no_mapping_is_a_fault,
    the_answer_cannot_be_stored_at_bad_addresses,
];

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const PAGES: MapRequest = MapRequest::anonymous(4 * PAGE_SIZE);

fn a_mapping_is_told_as_it_was_made() {
    let hello = ok(File::open("hello", OpenFlags::READ));
    let grows = PAGES.limit(1 << 20);
    let all = READ_WRITE | Protection::EXECUTE | Protection::PIN;
    for request in [
        PAGES,
        PAGES.protection(all),
        PAGES.protection(Protection::READ),
        PAGES.flags(MapFlags::EAGER),
        PAGES.flags(MapFlags::SHARED),
        grows.flags(MapFlags::GROW_DOWN),
        grows.flags(MapFlags::GROW_UP),
        MapRequest::file(&hello, 0, 4 * PAGE_SIZE),
        MapRequest::file(&hello, 0, 4 * PAGE_SIZE)
            .flags(MapFlags::SHARED)
            .protection(Protection::READ),
    ] {
        let start = ok(map(&request));
        for address in [start, start + 9, start + request.len - 1] {
            let info = ok(mapping(address));
            assert_eq!(info.protection(), request.protection, "{request:?}");
            assert_eq!(info.flags(), request.flags, "{request:?}");
            assert_eq!(info.is_page_alloc, 0);
            let end = info.start + info.len;
            let covers = info.start <= start as u64 && (start + request.len) as u64 <= end;
            assert!(covers, "{info:?} of {request:?} at {start:#x}");
        }
    }
}

fn a_program_and_its_stack_are_mappings() {
    let text = ok(mapping(PROGRAM_BASE));
    assert_eq!(text.start, PROGRAM_BASE as u64);
    let executable = Protection::READ | Protection::EXECUTE;
    assert_eq!(
        (text.protection(), text.flags()),
        (executable, MapFlags::empty())
    );
    let stack = ok(mapping(STACK_TOP - 1));
    assert_eq!(stack.start + stack.len, STACK_TOP as u64);
    assert_eq!(stack.protection(), READ_WRITE);
    assert_eq!(stack.flags(), MapFlags::ANONYMOUS | MapFlags::GROW_DOWN);
}

fn pages_of_page_alloc_are_told_from_others() {
    let mut page = lonely_page();
    let info = ok(mapping(page.words().as_ptr().addr()));
    let expected = MappingInfo {
        start: crate::check::AREA_START as u64,
        len: PAGE_SIZE as u64,
        page_len: PAGE_SIZE as u64,
        protection: READ_WRITE.bits(),
        flags: MapFlags::ANONYMOUS.bits(),
        page: (PageState::PRESENT | PageState::WRITABLE).bits(),
        is_page_alloc: 1,
    };
    assert_eq!(info, expected);
}

fn a_page_is_told_from_its_first_touch_on() {
    let start = ok(map(&PAGES));
    let told = |page: usize| {
        let info = ok(mapping(start + page * PAGE_SIZE));
        (info.page(), info.page_len)
    };
    assert_eq!(told(1), (PageState::empty(), 0));
    assert_eq!(peek(start + PAGE_SIZE), 0);
    assert!(told(1).0.contains(PageState::PRESENT));
    poke(start + PAGE_SIZE, 1);
    let written = PageState::PRESENT | PageState::WRITABLE;
    assert_eq!(told(1), (written, PAGE_SIZE as u64));
    assert_eq!([told(0), told(2)], [(PageState::empty(), 0); 2]);
}

fn a_page_that_a_fork_shares_is_not_writable_until_it_is_written() {
    let memory = ok(map(&PAGES));
    poke(memory, 1);
    let is_sharing = do_forks_share(memory);
    join(start(|| {
        let own = PageState::PRESENT | PageState::WRITABLE;
        let shared = PageState::PRESENT | PageState::SHARED;
        let at_first = if is_sharing { shared } else { own };
        assert_eq!(ok(mapping(memory)).page(), at_first);
        poke(memory, 2);
        assert_eq!(ok(mapping(memory)).page(), own);
    }));
    poke(memory, 3);
    assert!(ok(mapping(memory)).page().contains(PageState::WRITABLE));
}

fn mapping_refuses_what_is_no_user_address() {
    for address in [
        0,
        8,
        KERNEL_TEXT,
        0x7fff_ffff_f000,
        NOT_CANONICAL,
        LAST_PAGE,
        usize::MAX,
    ] {
        assert_eq!(mapping(address), Err(Errno::EINVAL), "{address:#x}");
    }
}

fn an_address_in_no_mapping_is_a_fault() {
    let _page = lonely_page();
    for address in [
        UNMAPPED,
        crate::check::LONELY_PAGE_END,
        STACK_TOP,
        LAST_PAGE - 1,
    ] {
        assert_eq!(mapping(address), Err(Errno::EFAULT), "{address:#x}");
    }
}

fn the_answer_cannot_be_stored_at_bad_addresses() {
    for (what, address) in crate::pointers::BAD_ADDRESSES {
        let info = address as *mut MappingInfo;
        // SAFETY: the kernel cannot write there.
        let result = decode(unsafe { system_call::mapping(PROGRAM_BASE, info) });
        assert_eq!(result, Err(Errno::EFAULT), "{what}");
    }
    let text = PROGRAM_BASE as *mut MappingInfo;
    // SAFETY: as above.
    let result = decode(unsafe { system_call::mapping(PROGRAM_BASE, text) });
    assert_eq!(result, Err(Errno::EFAULT), "read-only memory");
}
