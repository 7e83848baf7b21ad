//! Futexes and processes: which words are the same.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::OpenFlags;
use abi::layout::PAGE_SIZE;
use ulib::file::File;
use ulib::mapping::{MapRequest, map};
use ulib::{Errno, MapFlags, Pid, futex, process};

use crate::check::{join, kill, ok, start};
use crate::files::{SCRATCH_A, empty_scratch, fill_scratch};
use crate::futex::{set_and_wake, wait_until_is};
use crate::runner::tests;
use crate::thread_tools::{YIELDS, result, spawn_waiter, yield_until};

tests![
    a_word_of_a_child_is_not_its_parents,
    a_word_that_was_copied_is_another,
    a_word_in_memory_shared_by_a_fork_is_one,
    a_word_in_shared_memory_wakes_processes_and_threads,
    no_wake_up_is_lost_between_two_processes,
    two_mappings_of_a_file_have_the_same_words,
    who_is_killed_does_not_wait_any_more,
];

static WORD: AtomicU32 = AtomicU32::new(0);

/// Words that stay the same after a fork.
fn shared_words() -> &'static [AtomicU32; 4] {
    let request = MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::SHARED);
    words_at(ok(map(&request)))
}

fn words_at(address: usize) -> &'static [AtomicU32; 4] {
    // SAFETY: the tests map a page there, which stays until they end.
    unsafe { &*core::ptr::with_exposed_provenance(address) }
}

/// Starts a child on this CPU that waits for `word` to be woken, and returns when it waits.
fn start_waiter(word: &AtomicU32) -> Pid {
    let has_begun = &shared_words()[0];
    process::pin(process::getcpu());
    let child = start(|| {
        has_begun.store(1, Ordering::Relaxed);
        assert_eq!(futex::wait(word, 0), Ok(()));
    });
    // Relaxed: only the number matters.
    yield_until(|| has_begun.load(Ordering::Relaxed) == 1);
    for _ in 0..YIELDS {
        process::yield_now();
    }
    child
}

fn a_word_of_a_child_is_not_its_parents() {
    let child = start_waiter(&WORD);
    assert_eq!(futex::wake(&WORD, 1), 0, "the child's");
    let waiter = spawn_waiter(|| futex::wait(&WORD, 0));
    join(start(|| {
        assert_eq!(futex::wake(&WORD, 1), 0, "the parent's");
    }));
    assert_eq!(futex::wake(&WORD, 2), 1);
    assert_eq!(result(waiter), Ok(()));
    assert_eq!(process::try_wait(child), Ok(None));
    kill(child);
}

fn a_word_that_was_copied_is_another() {
    let words = words_at(ok(map(&MapRequest::anonymous(PAGE_SIZE))));
    // The copy has been written, by the child or by the parent, or it is not a copy yet.
    words[1].store(1, Ordering::Relaxed);
    let child = start_waiter(&words[0]);
    assert_eq!(futex::wake(&words[0], 1), 0);
    words[1].store(2, Ordering::Relaxed);
    assert_eq!(futex::wake(&words[0], 1), 0);
    kill(child);
}

fn a_word_in_memory_shared_by_a_fork_is_one() {
    let words = shared_words();
    let child = start_waiter(&words[1]);
    assert_eq!(futex::wake(&words[0], 1), 0, "another word");
    assert_eq!(futex::wake(&words[1], 1), 1);
    join(child);
    // And the other way, from a grandchild.
    let waiter = spawn_waiter(|| futex::wait(&words[1], 0));
    join(start(|| {
        join(start(|| assert_eq!(futex::wake(&words[1], 1), 1)))
    }));
    assert_eq!(result(waiter), Ok(()));
}

fn a_word_in_shared_memory_wakes_processes_and_threads() {
    let words = shared_words();
    let children = [(); 3].map(|()| start_waiter(&words[1]));
    let threads = [(); 2].map(|()| spawn_waiter(|| futex::wait(&words[1], 0)));
    assert_eq!(futex::wake(&words[1], 4), 4);
    children.into_iter().for_each(join);
    assert_eq!(futex::wake(&words[1], 4), 1);
    assert_eq!(threads.map(result), [Ok(()); 2]);
}

fn no_wake_up_is_lost_between_two_processes() {
    const ROUNDS: u32 = 100;
    let word = &shared_words()[1];
    let take_turns = |first: u32| {
        for turn in (first..2 * ROUNDS).step_by(2) {
            assert!(wait_until_is(word, turn));
            set_and_wake(word, turn + 1);
        }
    };
    let child = start(|| {
        process::pin(process::cpu_count() - 1);
        take_turns(1);
    });
    process::pin(0);
    take_turns(0);
    join(child);
}

fn two_mappings_of_a_file_have_the_same_words() {
    fill_scratch(SCRATCH_A, &[0; 2 * PAGE_SIZE]);
    let file = ok(File::open(SCRATCH_A, OpenFlags::READ_WRITE));
    let request = MapRequest::file(&file, 0, PAGE_SIZE);
    let shared = request.flags(MapFlags::SHARED);
    let second_page = MapRequest {
        offset: PAGE_SIZE as u64,
        ..shared
    };
    let [first, other, private, behind] =
        [shared, shared, request, second_page].map(|request| words_at(ok(map(&request))));
    for word in first {
        word.store(0, Ordering::Relaxed);
    }
    let waiter = spawn_waiter(|| futex::wait(&first[1], 0));
    for words in [private, behind] {
        assert_eq!(futex::wake(&words[1], 1), 0);
    }
    assert_eq!(futex::wake(&other[2], 1), 0);
    assert_eq!(futex::wake(&other[1], 1), 1);
    assert_eq!(result(waiter), Ok(()));
    drop(file);
    empty_scratch(SCRATCH_A);
}

fn who_is_killed_does_not_wait_any_more() {
    let words = shared_words();
    let children = [(); 3].map(|()| start_waiter(&words[1]));
    kill(children[0]);
    kill(children[2]);
    assert_eq!(futex::wake(&words[1], 3), 1);
    join(children[1]);
    // Not even if nobody has waited for its end.
    let child = start_waiter(&words[1]);
    ok(process::kill(child, ulib::Signal::SIGKILL));
    yield_until(|| process::kill(child, ulib::Signal::SIGKILL) == Err(Errno::ESRCH));
    assert_eq!(futex::wake(&words[1], 1), 0);
    assert!(process::wait(child).is_ok());
}
