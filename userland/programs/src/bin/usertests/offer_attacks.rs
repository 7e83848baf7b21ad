//! Attacks on pages that one process offers to another.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use abi::{OFFERS_MAX, OpenFlags};
use ulib::file::File;
use ulib::mapping::{MapRequest, map, mapping, protect, unmap};
use ulib::offer::{attach, share};
use ulib::{Errno, MapFlags, Protection, Whence, process};

use crate::check::{
    AREA_START, KERNEL_TEXT, LAST_PAGE, NOT_CANONICAL, UNMAPPED, join, kill, ok, peek, poke, start,
};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::memory::page_alloc;
use crate::offers::{LOCAL, Stage, expect_read_only, marked_pages, start_partner};
use crate::runner::tests;

tests![
    what_was_not_offered_cannot_be_attached,
    only_the_partner_can_attach_not_its_child_nor_its_parent,
    a_child_of_the_owner_has_offered_nothing,
    wrong_ids_are_refused,
    wrong_addresses_are_refused,
    nothing_that_is_mapped_is_replaced_by_an_attached_page,
    an_offered_page_that_was_unmapped_cannot_be_attached,
    what_comes_in_the_place_of_an_offered_page_cannot_be_attached,
    stores_to_an_attached_page_do_not_reach_who_shares_it_copy_on_write,
    stores_to_an_attached_page_of_the_program_reach_no_other_process,
    a_shared_file_is_not_offered,
    offers_are_limited_and_those_to_the_dead_do_not_count,
];

fn what_was_not_offered_cannot_be_attached() {
    let memory = marked_pages(3);
    let owner = process::getpid();
    join(start_partner(memory + PAGE_SIZE, || {
        for address in [memory, memory + 2 * PAGE_SIZE, PROGRAM_BASE, UNMAPPED] {
            assert_eq!(attach(owner, address, LOCAL), Err(Errno::EPERM));
        }
        // Not by way of somebody else either.
        assert_eq!(attach(process::getppid(), memory, LOCAL), Err(Errno::EPERM));
        assert_eq!(attach(1, PROGRAM_BASE, LOCAL), Err(Errno::EPERM));
    }));
}

fn only_the_partner_can_attach_not_its_child_nor_its_parent() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let other = start(|| {
        for _ in 0..50 {
            assert_eq!(attach(owner, memory, LOCAL), Err(Errno::EPERM));
            process::yield_now();
        }
    });
    join(start_partner(memory, || {
        join(start(|| {
            assert_eq!(attach(owner, memory, LOCAL), Err(Errno::EPERM));
        }));
        ok(attach(owner, memory, LOCAL));
    }));
    join(other);
}

fn a_child_of_the_owner_has_offered_nothing() {
    let memory = marked_pages(1);
    let stage = Stage::new();
    let partner = start_partner(memory, || {
        stage.wait_for(2);
        let copy = stage.number() as ulib::Pid;
        assert_eq!(attach(copy, memory, LOCAL), Err(Errno::EPERM));
    });
    let copy = start(|| process::sleep_ms(1_000_000));
    stage.reach(copy as u64);
    join(partner);
    kill(copy);
}

fn wrong_ids_are_refused() {
    let memory = marked_pages(1);
    for (pid, expected) in [
        (0, Errno::ESRCH),
        (-1, Errno::ESRCH),
        (i32::MIN, Errno::ESRCH),
        (i32::MAX, Errno::ESRCH),
        (process::getpid(), Errno::EINVAL),
    ] {
        assert_eq!(share(pid, memory), Err(expected), "{pid}");
        assert_eq!(attach(pid, memory, LOCAL), Err(expected), "{pid}");
    }
    let zombie = start(|| {});
    // It can be offered something until it has ended; then, before somebody has waited for it, not any more.
    let refused = loop {
        match share(zombie, memory) {
            Ok(()) => process::yield_now(),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, Errno::ESRCH);
    assert_eq!(attach(zombie, memory, LOCAL), Err(Errno::ESRCH));
    join(zombie);
    assert_eq!(share(zombie, memory), Err(Errno::ESRCH));
}

fn wrong_addresses_are_refused() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let partner = start_partner(memory, || {
        for bad in [
            0,
            memory + 1,
            memory + 2048,
            KERNEL_TEXT,
            NOT_CANONICAL,
            LAST_PAGE,
            usize::MAX,
        ] {
            assert_eq!(attach(owner, bad, LOCAL), Err(Errno::EINVAL), "{bad:#x}");
            assert_eq!(attach(owner, memory, bad), Err(Errno::EINVAL), "{bad:#x}");
            assert_eq!(share(owner, bad), Err(Errno::EINVAL), "{bad:#x}");
        }
        assert_eq!(share(owner, UNMAPPED), Err(Errno::EFAULT));
        ok(attach(owner, memory, LOCAL));
    });
    join(partner);
}

fn nothing_that_is_mapped_is_replaced_by_an_attached_page() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    join(start_partner(memory, || {
        let word = 5_u64;
        let stack = (&raw const word).addr() & !(PAGE_SIZE - 1);
        for mapped in [memory, PROGRAM_BASE, stack] {
            assert_eq!(attach(owner, memory, mapped), Err(Errno::EEXIST));
        }
        ok(attach(owner, memory, LOCAL));
        assert_eq!(attach(owner, memory, LOCAL), Err(Errno::EEXIST));
        assert_eq!(core::hint::black_box(word), 5);
    }));
}

fn an_offered_page_that_was_unmapped_cannot_be_attached() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let stage = Stage::new();
    let partner = start_partner(memory, || {
        stage.wait_for(1);
        assert_eq!(attach(owner, memory, LOCAL), Err(Errno::EPERM));
    });
    // SAFETY: nothing uses it any more.
    ok(unsafe { unmap(memory, PAGE_SIZE) });
    stage.reach(1);
    join(partner);
}

fn what_comes_in_the_place_of_an_offered_page_cannot_be_attached() {
    let mut area = crate::check::area();
    ok(area.grow(1));
    let owner = process::getpid();
    let stage = Stage::new();
    let end = Stage::new();
    let third = start(|| end.wait_for(1));
    let partner = start_partner(AREA_START, || {
        for number in 1..=3 {
            stage.wait_for(2 * number - 1);
            assert_eq!(attach(owner, AREA_START, LOCAL), Err(Errno::EPERM));
            stage.reach(2 * number);
        }
    });
    // Another page of `page_alloc`, other memory, and other memory that is offered, but to somebody else.
    ok(page_alloc(AREA_START));
    stage.reach(1);
    stage.wait_for(2);
    // SAFETY: nothing uses it any more.
    ok(unsafe { unmap(AREA_START, PAGE_SIZE) });
    ok(map(&MapRequest::anonymous(PAGE_SIZE)
        .at(AREA_START)
        .flags(MapFlags::SHARED)));
    poke(AREA_START, 1);
    stage.reach(3);
    stage.wait_for(4);
    ok(share(third, AREA_START));
    stage.reach(5);
    join(partner);
    end.reach(1);
    join(third);
}

fn stores_to_an_attached_page_do_not_reach_who_shares_it_copy_on_write() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let stage = Stage::new();
    // Has the same frame, by fork.
    let sibling = start(|| {
        stage.wait_for(1);
        assert_eq!(peek(memory), 1);
    });
    join(start_partner(memory, || {
        ok(attach(owner, memory, LOCAL));
        poke(LOCAL, 2);
        assert_eq!(peek(memory), 1, "its own copy, from the fork");
    }));
    assert_eq!(peek(memory), 2);
    stage.reach(1);
    join(sibling);
}

fn stores_to_an_attached_page_of_the_program_reach_no_other_process() {
    let program = ok(File::open("usertests", OpenFlags::READ));
    let text = (stores_to_an_attached_page_of_the_program_reach_no_other_process as fn() as usize)
        & !(PAGE_SIZE - 1);
    let before = peek(text);
    let owner = process::getpid();
    join(start_partner(text, || {
        ok(attach(owner, text, LOCAL));
        assert_eq!(peek(LOCAL), before);
        expect_read_only(LOCAL);
    }));
    // Data that shows the file, too, as long as nobody has written it.
    let file =
        ok(map(&MapRequest::file(&program, 0, PAGE_SIZE)
            .protection(Protection::READ | Protection::WRITE)));
    let magic = peek(file);
    join(start_partner(file, || {
        ok(attach(owner, file, LOCAL));
        assert_eq!(peek(LOCAL), magic);
        poke(LOCAL, 0);
    }));
    assert_eq!(peek(file), 0);
    let mut bytes = [0; 8];
    ok(program.seek(0, Whence::Start));
    assert_eq!(program.read_full(&mut bytes), Ok(8));
    assert_eq!(u64::from_ne_bytes(bytes), magic, "the file has changed");
    assert_eq!(peek(text), before);
    ok(protect(file, PAGE_SIZE, Protection::READ));
}

fn a_shared_file_is_not_offered() {
    fill_scratch(SCRATCH_A, &[1; PAGE_SIZE]);
    let file = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
    let memory = ok(map(
        &MapRequest::file(&file, 0, PAGE_SIZE).flags(MapFlags::SHARED)
    ));
    assert_eq!(share(process::getppid(), memory), Err(Errno::EACCES));
    // SAFETY: nothing uses it any more.
    ok(unsafe { unmap(memory, PAGE_SIZE) });
    empty_scratch(SCRATCH_A);
}

fn offers_are_limited_and_those_to_the_dead_do_not_count() {
    let memory = marked_pages(OFFERS_MAX + 1);
    let last = memory + OFFERS_MAX * PAGE_SIZE;
    let first = start(|| process::sleep_ms(1_000_000));
    for page in 0..OFFERS_MAX {
        // The second offer of the same page is the same offer.
        ok(share(first, memory + page * PAGE_SIZE));
        ok(share(first, memory + page * PAGE_SIZE));
    }
    assert_eq!(share(first, last), Err(Errno::EAGAIN));
    let flags = ok(mapping(last)).flags();
    assert!(
        !flags.contains(MapFlags::SHARED),
        "what is refused is not shared"
    );
    kill(first);
    let second = start(|| process::sleep_ms(1_000_000));
    ok(share(second, last));
    kill(second);
}
