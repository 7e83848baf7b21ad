//! Threads that wait for a word in a page that is then offered to another process.

use core::sync::atomic::AtomicU32;

use ulib::offer::{attach, share};
use ulib::{futex, process};

use crate::check::{AREA_START, join, ok, start};
use crate::futex::{set_and_wake, wait_until_is};
use crate::offers::{LOCAL, Stage, marked_pages};
use crate::runner::tests;
use crate::thread_tools::{YIELDS, result, spawn_waiter};

tests![
    who_waits_when_a_page_is_offered_is_woken_by_its_process,
    who_waits_when_a_page_is_offered_is_woken_by_the_partner,
];

/// The word at `address`, where the tests have a page.
fn word_at(address: usize) -> &'static AtomicU32 {
    // SAFETY: a page that is mapped there stays until the test ends.
    unsafe { &*core::ptr::with_exposed_provenance(address) }
}

fn who_waits_when_a_page_is_offered_is_woken_by_its_process() {
    let word = word_at(marked_pages(1));
    let stage = Stage::new();
    let partner = start(|| stage.wait_for(1));
    let waiters = [(); 2].map(|()| spawn_waiter(|| futex::wait(word, 1)));
    ok(share(partner, AREA_START));
    for _ in 0..YIELDS {
        process::yield_now();
    }
    assert_eq!(futex::wake(word, 2), 2);
    assert_eq!(waiters.map(result), [Ok(()); 2]);
    stage.reach(1);
    join(partner);
}

fn who_waits_when_a_page_is_offered_is_woken_by_the_partner() {
    let word = word_at(marked_pages(1));
    let stage = Stage::new();
    let owner = process::getpid();
    let partner = start(|| {
        stage.wait_for(1);
        ok(attach(owner, AREA_START, LOCAL));
        set_and_wake(word_at(LOCAL), 2);
    });
    let waiter = spawn_waiter(|| wait_until_is(word, 2));
    ok(share(partner, AREA_START));
    stage.reach(1);
    assert!(result(waiter));
    join(partner);
}
