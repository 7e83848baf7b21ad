//! Pages that one process offers to another: what both have of it.

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map, mapping, move_frames, protect, unmap};
use ulib::offer::{attach, share};
use ulib::{Errno, MapFlags, Protection, process};

use crate::check::{
    AREA_START, expect_fatal, expect_marks, join, mark_pages, ok, peek, poke, start,
};
use crate::runner::tests;

tests![
    an_attached_page_is_the_same_memory,
    an_attached_page_stays_when_its_owner_ends,
    an_offered_page_stays_when_the_partner_ends,
    a_page_can_be_attached_again_and_passed_on,
    an_offered_page_that_is_moved_stays_the_same_memory,
    an_offered_page_becomes_shared_with_children,
    one_page_of_a_big_one_can_be_offered,
    a_page_of_the_stack_can_be_offered,
    an_offered_page_of_page_alloc_can_be_freed,
    who_can_only_read_offers_reading,
    what_was_attached_read_only_stays_so,
];

/// Where the tests attach.
pub(crate) const LOCAL: usize = 0xffff_b000_0000_0000;

/// A counter that all processes of a test see.
pub(crate) struct Stage(usize);

impl Stage {
    pub(crate) fn new() -> Stage {
        let shared = MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::SHARED);
        Stage(ok(map(&shared)))
    }

    /// Says that stage `number` has been reached.
    pub(crate) fn reach(&self, number: u64) {
        poke(self.0, number);
    }

    /// Waits until stage `number` has been reached.
    pub(crate) fn wait_for(&self, number: u64) {
        while peek(self.0) < number {
            process::yield_now();
        }
    }

    /// The stage.
    pub(crate) fn number(&self) -> u64 {
        peek(self.0)
    }
}

/// Private pages at [`AREA_START`], marked with numbers from 1 on.
pub(crate) fn marked_pages(len_pages: usize) -> usize {
    let memory = ok(map(
        &MapRequest::anonymous(len_pages * PAGE_SIZE).at(AREA_START)
    ));
    mark_pages(memory, len_pages, 1);
    memory
}

/// Starts a partner that runs `body` when it has been offered the page at `address`.
pub(crate) fn start_partner(address: usize, body: impl FnOnce()) -> ulib::Pid {
    let stage = Stage::new();
    let partner = start(|| {
        stage.wait_for(1);
        body();
    });
    ok(share(partner, address));
    stage.reach(1);
    partner
}

fn an_attached_page_is_the_same_memory() {
    let memory = marked_pages(3);
    let owner = process::getpid();
    let partner = start_partner(memory + PAGE_SIZE, || {
        ok(attach(owner, memory + PAGE_SIZE, LOCAL));
        assert_eq!(peek(LOCAL), 2);
        poke(LOCAL, 20);
        let info = ok(mapping(LOCAL));
        assert_eq!((info.start, info.len), (LOCAL as u64, PAGE_SIZE as u64));
        assert!(
            info.flags()
                .contains(MapFlags::SHARED | MapFlags::ANONYMOUS)
        );
        // The copies that the partner has from the fork are its own.
        poke(memory, 10);
        assert_eq!(peek(memory + PAGE_SIZE), 2);
    });
    join(partner);
    assert_eq!(
        [0, 1, 2].map(|page| peek(memory + page * PAGE_SIZE)),
        [1, 20, 3]
    );
    assert!(
        ok(mapping(memory + PAGE_SIZE))
            .flags()
            .contains(MapFlags::SHARED)
    );
    assert!(!ok(mapping(memory)).flags().contains(MapFlags::SHARED));
}

fn an_attached_page_stays_when_its_owner_ends() {
    let taker = process::getpid();
    let stage = Stage::new();
    let owner = start(|| {
        let memory = marked_pages(1);
        ok(share(taker, memory));
        stage.reach(1);
        stage.wait_for(2);
    });
    stage.wait_for(1);
    ok(attach(owner, AREA_START, LOCAL));
    stage.reach(2);
    join(owner);
    assert_eq!(peek(LOCAL), 1);
    poke(LOCAL, 2);
    assert_eq!(
        attach(owner, AREA_START, LOCAL + PAGE_SIZE),
        Err(Errno::ESRCH)
    );
}

fn an_offered_page_stays_when_the_partner_ends() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    for round in 1..10 {
        join(start_partner(memory, || {
            ok(attach(owner, memory, LOCAL));
            assert_eq!(peek(LOCAL), round);
            poke(LOCAL, round + 1);
        }));
        assert_eq!(peek(memory), round + 1);
    }
}

fn a_page_can_be_attached_again_and_passed_on() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    let partner = start_partner(memory, || {
        ok(attach(owner, memory, LOCAL));
        ok(attach(owner, memory, LOCAL + 2 * PAGE_SIZE));
        poke(LOCAL, 5);
        assert_eq!(peek(LOCAL + 2 * PAGE_SIZE), 5);
        let second = process::getpid();
        join(start_partner(LOCAL, || {
            ok(attach(second, LOCAL, LOCAL + 4 * PAGE_SIZE));
            poke(LOCAL + 4 * PAGE_SIZE, 6);
        }));
    });
    join(partner);
    assert_eq!(peek(memory), 6);
}

fn an_offered_page_that_is_moved_stays_the_same_memory() {
    let memory = marked_pages(2);
    let owner = process::getpid();
    let stage = Stage::new();
    let partner = start_partner(memory, || {
        stage.wait_for(1);
        ok(attach(owner, memory, LOCAL));
        assert_eq!(peek(LOCAL), 1);
        poke(LOCAL, 7);
        stage.reach(2);
        stage.wait_for(3);
        assert_eq!(peek(LOCAL), 8);
    });
    ok(move_frames(memory, 2 * PAGE_SIZE));
    stage.reach(1);
    stage.wait_for(2);
    ok(move_frames(memory, 2 * PAGE_SIZE));
    assert_eq!(peek(memory), 7);
    poke(memory, 8);
    stage.reach(3);
    join(partner);
    assert_eq!(peek(memory + PAGE_SIZE), 2);
}

fn an_offered_page_becomes_shared_with_children() {
    let memory = marked_pages(2);
    let owner = process::getpid();
    let partner = start_partner(memory, || {
        ok(attach(owner, memory, LOCAL));
        while peek(LOCAL) != 9 {
            process::yield_now();
        }
    });
    join(start(|| mark_pages(memory, 2, 9)));
    join(partner);
    assert_eq!([peek(memory), peek(memory + PAGE_SIZE)], [9, 2]);
}

fn one_page_of_a_big_one_can_be_offered() {
    const PAGES: usize = 512;
    let memory = ok(map(
        &MapRequest::anonymous(PAGES * PAGE_SIZE).flags(MapFlags::EAGER)
    ));
    mark_pages(memory, PAGES, 1);
    let owner = process::getpid();
    let page = memory + 100 * PAGE_SIZE;
    join(start_partner(page, || {
        ok(attach(owner, page, LOCAL));
        assert_eq!(peek(LOCAL), 101);
        poke(LOCAL + 8, 5);
    }));
    expect_marks(memory, PAGES, 1);
    assert_eq!(peek(page + 8), 5);
}

fn a_page_of_the_stack_can_be_offered() {
    let word = 5_u64;
    let address = (&raw const word).addr();
    let page = address & !(PAGE_SIZE - 1);
    let owner = process::getpid();
    join(start_partner(page, || {
        ok(attach(owner, page, LOCAL));
        assert_eq!(peek(LOCAL + address % PAGE_SIZE), 5);
    }));
    // The stack still grows.
    let deep = [7_u8; 40 * PAGE_SIZE];
    assert!(core::hint::black_box(&deep).iter().all(|&byte| byte == 7));
    assert_eq!(core::hint::black_box(word), 5);
}

fn an_offered_page_of_page_alloc_can_be_freed() {
    let mut area = crate::check::area();
    ok(area.grow(2));
    poke(AREA_START, 1);
    let owner = process::getpid();
    let stage = Stage::new();
    let partner = start_partner(AREA_START, || {
        ok(attach(owner, AREA_START, LOCAL));
        stage.reach(1);
        stage.wait_for(2);
        assert_eq!(peek(LOCAL), 1);
    });
    stage.wait_for(1);
    // SAFETY: nothing uses the page any more.
    let freed = unsafe { ulib::system_call::page_free(AREA_START, 1) };
    assert_eq!(abi::decode(freed), Ok(0));
    assert_eq!(mapping(AREA_START), Err(Errno::EFAULT));
    stage.reach(2);
    join(partner);
}

fn who_can_only_read_offers_reading() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    ok(protect(memory, PAGE_SIZE, Protection::READ));
    let partner = start_partner(memory, || {
        ok(attach(owner, memory, LOCAL));
        assert_eq!(peek(LOCAL), 1);
        expect_read_only(LOCAL);
        // Whoever has it from this one has no more of it.
        let second = process::getpid();
        join(start_partner(LOCAL, || {
            ok(attach(second, LOCAL, LOCAL + PAGE_SIZE));
            expect_read_only(LOCAL + PAGE_SIZE);
        }));
    });
    join(partner);
    ok(protect(
        memory,
        PAGE_SIZE,
        Protection::READ | Protection::WRITE,
    ));
    poke(memory, 2);
}

/// Nothing can be stored at `address`, whatever a process asks for.
#[track_caller]
pub(crate) fn expect_read_only(address: usize) {
    let wanted = Protection::READ | Protection::WRITE;
    assert_eq!(protect(address, PAGE_SIZE, wanted), Err(Errno::EACCES));
    expect_fatal("a store to an attached page", || poke(address, 99));
}

fn what_was_attached_read_only_stays_so() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    ok(protect(memory, PAGE_SIZE, Protection::READ));
    let stage = Stage::new();
    let partner = start_partner(memory, || {
        ok(attach(owner, memory, LOCAL));
        stage.reach(1);
        stage.wait_for(2);
        assert_eq!(peek(LOCAL), 2);
        expect_read_only(LOCAL);
        // Now the owner can write it.
        ok(attach(owner, memory, LOCAL + PAGE_SIZE));
        poke(LOCAL + PAGE_SIZE, 3);
        // SAFETY: nothing uses it any more.
        ok(unsafe { unmap(LOCAL, PAGE_SIZE) });
    });
    stage.wait_for(1);
    ok(protect(
        memory,
        PAGE_SIZE,
        Protection::READ | Protection::WRITE,
    ));
    poke(memory, 2);
    stage.reach(2);
    join(partner);
    assert_eq!(peek(memory), 3);
}
