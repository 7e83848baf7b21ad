//! Attaching a page while its owner ends, takes it away, or forks.

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, map, protect, unmap};
use ulib::offer::{attach, share};
use ulib::{Errno, Protection, process};

use crate::check::{AREA_START, join, kill, ok, peek, poke, start};
use crate::offers::{LOCAL, Stage, marked_pages};
use crate::runner::tests;

tests![
    attaching_while_the_owner_ends_gets_its_page_or_nothing,
    the_taker_is_killed_while_it_attaches,
    attaching_while_the_owner_replaces_the_page_never_shows_the_other,
    attaching_while_the_owner_forks_and_protects,
];

const ROUNDS: u64 = 60;

/// The offered page, and one that is not.
const OFFERED: u64 = 1;
const SECRET: u64 = 2;

/// Attaches whatever there is, over and over, until `is_over`; none of it may be a secret. Returns how often it got
/// something.
fn attach_until(owner: ulib::Pid, is_over: impl Fn() -> bool) -> usize {
    let mut count = 0;
    loop {
        match attach(owner, AREA_START, LOCAL) {
            Ok(()) => {
                assert_eq!(peek(LOCAL), OFFERED);
                // SAFETY: nothing uses it any more.
                ok(unsafe { unmap(LOCAL, PAGE_SIZE) });
                count += 1;
            }
            Err(Errno::EPERM) => {}
            Err(Errno::ESRCH) => return count,
            Err(error) => panic!("attach: {error:?}"),
        }
        if is_over() {
            return count;
        }
    }
}

fn attaching_while_the_owner_ends_gets_its_page_or_nothing() {
    let taker = process::getpid();
    for round in 0..ROUNDS {
        let stage = Stage::new();
        let owner = start(|| {
            ok(share(taker, marked_pages(1)));
            stage.reach(1);
            stage.wait_for(2);
            (0..round).for_each(|_| core::hint::spin_loop());
        });
        stage.wait_for(1);
        let count = attach_until(owner, || true);
        assert_eq!(count, 1, "the page was not there");
        stage.reach(2);
        attach_until(owner, || false);
        join(owner);
    }
}

fn the_taker_is_killed_while_it_attaches() {
    let memory = marked_pages(1);
    let owner = process::getpid();
    for _ in 0..ROUNDS {
        let stage = Stage::new();
        let taker = start(|| {
            stage.reach(1);
            attach_until(owner, || false);
        });
        ok(share(taker, memory));
        stage.wait_for(1);
        kill(taker);
    }
    poke(memory, 5);
    assert_eq!(peek(memory), 5);
}

fn attaching_while_the_owner_replaces_the_page_never_shows_the_other() {
    let taker = process::getpid();
    let stage = Stage::new();
    let owner = start(|| {
        let request = MapRequest::anonymous(PAGE_SIZE).at(AREA_START);
        for round in 1..=ROUNDS {
            for mark in [SECRET, OFFERED] {
                ok(map(&request));
                poke(AREA_START, mark);
                if mark == OFFERED {
                    ok(share(taker, AREA_START));
                    stage.reach(round);
                }
                process::yield_now();
                // SAFETY: nothing uses it any more.
                ok(unsafe { unmap(AREA_START, PAGE_SIZE) });
            }
        }
    });
    stage.wait_for(1);
    attach_until(owner, || false);
    join(owner);
}

fn attaching_while_the_owner_forks_and_protects() {
    let taker = process::getpid();
    let stage = Stage::new();
    let owner = start(|| {
        let memory = marked_pages(1);
        ok(share(taker, memory));
        stage.reach(1);
        for _ in 0..ROUNDS {
            join(start(|| assert_eq!(peek(memory), OFFERED)));
            ok(protect(memory, PAGE_SIZE, Protection::READ));
            ok(protect(
                memory,
                PAGE_SIZE,
                Protection::READ | Protection::WRITE,
            ));
        }
        stage.reach(2);
        stage.wait_for(3);
    });
    stage.wait_for(1);
    let count = attach_until(owner, || stage.number() >= 2);
    assert!(count > 0, "the page was never there");
    stage.reach(3);
    join(owner);
}
