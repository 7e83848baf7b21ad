//! Threads and the memory that they share.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::layout::{PAGE_SIZE, STACK_LEN_PAGES};
use ulib::mapping::{MapRequest, Mapping, map, protect, unmap};
use ulib::memory::page_alloc_range;
use ulib::{Protection, file, process};

use crate::check::{self, AREA_START, expect_marks, join, mark_pages, ok, peek, poke};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, result, spawn, spawn_pinned, yield_until};

tests![
    a_thread_can_use_much_stack,
    a_thread_that_overruns_its_stack_dies dies_by SIGSEGV,
    a_thread_cannot_write_what_another_one_has_unmapped dies_by SIGSEGV,
    a_thread_cannot_write_what_another_one_has_protected dies_by SIGSEGV,
    a_thread_cannot_read_what_another_one_has_unmapped dies_by SIGSEGV,
    a_thread_can_read_what_another_one_has_made_read_only,
    a_token_goes_round_by_a_page_that_each_thread_unmaps_and_maps,
    a_token_goes_round_by_a_page_that_each_thread_replaces,
    threads_that_touch_a_page_together_get_one,
    threads_that_touch_a_copied_page_together_get_one,
    threads_map_and_unmap_at_the_same_time,
    threads_use_the_heap_at_the_same_time,
];

/// Uses `frames` pages of stack, each below the one before.
#[inline(never)]
fn dig(frames: usize) -> usize {
    let page = black_box([frames; PAGE_SIZE / size_of::<usize>()]);
    match frames {
        0 => 0,
        _ => page[frames % page.len()] - frames + 1 + dig(frames - 1),
    }
}

/// Several at once, each a good part of what a stack can become: they do not meet.
fn a_thread_can_use_much_stack() {
    const DEPTH: usize = STACK_LEN_PAGES / 4;
    let threads = core::array::from_fn::<_, 4, _>(|_| spawn(|| dig(DEPTH)));
    assert_eq!(threads.map(result), [DEPTH; 4]);
}

/// The next stack is there, below: the thread must not come as far.
fn a_thread_that_overruns_its_stack_dies() {
    static DONE: Arrivals = Arrivals::new();
    let threads = [(); 2].map(|()| spawn(|| DONE.await_count(1)));
    let _ = spawn(|| dig(100 * STACK_LEN_PAGES)).join();
    DONE.arrive();
    threads.into_iter().for_each(result);
}

/// A thread on the last CPU uses a page, and once more after this one, on the first CPU, has done `take` to it.
fn use_what_was_taken(access: fn(usize), take: fn(usize)) {
    static READY: Arrivals = Arrivals::new();
    static TAKEN: Arrivals = Arrivals::new();
    let page = ok(map(&MapRequest::anonymous(PAGE_SIZE)));
    poke(page, 1);
    let last = process::cpu_count() - 1;
    let user = spawn(move || {
        process::pin(last);
        access(page);
        READY.arrive();
        // Without a system call, so that nothing else makes the CPU forget the page.
        while TAKEN.count() == 0 {
            spin_loop();
        }
        access(page);
    });
    process::pin(0);
    READY.await_count(1);
    take(page);
    TAKEN.arrive();
    result(user);
}

fn read(page: usize) {
    peek(page);
}

fn write(page: usize) {
    poke(page, 2);
}

fn make_read_only(page: usize) {
    ok(protect(page, PAGE_SIZE, Protection::READ));
}

fn remove(page: usize) {
    // SAFETY: what is there is used by tests that expect to die of it, or that have other memory there before.
    ok(unsafe { unmap(page, PAGE_SIZE) });
}

fn a_thread_cannot_write_what_another_one_has_unmapped() {
    use_what_was_taken(write, remove);
}

fn a_thread_cannot_write_what_another_one_has_protected() {
    use_what_was_taken(write, make_read_only);
}

fn a_thread_cannot_read_what_another_one_has_unmapped() {
    use_what_was_taken(read, remove);
}

fn a_thread_can_read_what_another_one_has_made_read_only() {
    use_what_was_taken(read, make_read_only);
}

/// How many threads pass the token, and how often each has it.
const THREADS: usize = 8;
const ROUNDS: usize = 2;

/// Threads on all CPUs pass a token. Who has it finds in the page what the one before has written, gives the page other
/// memory by `replace`, and writes there for the next. `look` is what the others do meanwhile.
fn pass_token(replace: fn(usize), look: fn(usize, u64)) {
    static TOKEN: AtomicU64 = AtomicU64::new(0);
    // SAFETY: nothing else is there.
    ok(unsafe { page_alloc_range(AREA_START, 1) });
    let threads = spawn_pinned(THREADS, move |number| {
        for round in 0..ROUNDS {
            let turn = (round * THREADS + number) as u64;
            // Acquire and Release: who has the token sees what the one before has done.
            yield_until(|| {
                let current = TOKEN.load(Ordering::Acquire);
                look(AREA_START, current);
                current == turn
            });
            assert_eq!(peek(AREA_START), turn, "what the one before has written");
            replace(AREA_START);
            assert_eq!(peek(AREA_START), 0, "other memory");
            poke(AREA_START, turn + 1);
            TOKEN.store(turn + 1, Ordering::Release);
        }
    });
    threads.into_iter().for_each(result);
    assert_eq!(peek(AREA_START), (THREADS * ROUNDS) as u64);
}

fn a_token_goes_round_by_a_page_that_each_thread_unmaps_and_maps() {
    let unmap_and_map = |page| {
        remove(page);
        let request = MapRequest::anonymous(PAGE_SIZE).at(page);
        assert_eq!(map(&request), Ok(page));
    };
    pass_token(unmap_and_map, |_, _| {});
}

fn a_token_goes_round_by_a_page_that_each_thread_replaces() {
    let replace = |page| {
        // SAFETY: the other threads only look at a number there.
        ok(unsafe { page_alloc_range(page, 1) });
    };
    pass_token(replace, |page, token| {
        let seen = peek(page);
        // It was empty at some time, or has what is written at this turn or later.
        assert!(seen == 0 || seen >= token, "{seen} at turn {token}");
    });
}

/// How many pages threads touch together.
const LEN_PAGES: usize = 4;

/// Lets threads on all CPUs store into each of the pages from `start` on at the same time; returns how many stores are
/// lost.
fn lost_stores(start: usize) -> usize {
    static THERE: Arrivals = Arrivals::new();
    let place = move |page: usize, number: usize| start + page * PAGE_SIZE + (1 + number) * 64;
    let threads = spawn_pinned(THREADS, move |number| {
        for page in 0..LEN_PAGES {
            THERE.arrive();
            THERE.await_count((page + 1) * THREADS);
            poke(place(page, number), 7);
        }
    });
    threads.into_iter().for_each(result);
    (0..LEN_PAGES)
        .flat_map(|page| (0..THREADS).map(move |number| place(page, number)))
        .filter(|&place| peek(place) != 7)
        .count()
}

fn threads_that_touch_a_page_together_get_one() {
    let start = ok(map(&MapRequest::anonymous(LEN_PAGES * PAGE_SIZE)));
    assert_eq!(lost_stores(start), 0);
}

fn threads_that_touch_a_copied_page_together_get_one() {
    let start = ok(map(&MapRequest::anonymous(LEN_PAGES * PAGE_SIZE)));
    mark_pages(start, LEN_PAGES, 100);
    let (reader, writer) = ok(file::pipe());
    let child = check::start(|| {
        ok(reader.read_full(&mut [0]));
        expect_marks(start, LEN_PAGES, 100);
        for place in (start..start + LEN_PAGES * PAGE_SIZE).step_by(64) {
            assert!(peek(place) != 7, "a store of the parent's at {place:#x}");
        }
    });
    assert_eq!(lost_stores(start), 0);
    expect_marks(start, LEN_PAGES, 100);
    ok(writer.write_all(&[0]));
    join(child);
}

fn threads_map_and_unmap_at_the_same_time() {
    let threads = spawn_pinned(THREADS, |number| {
        for round in 0..4 {
            let memory = ok(Mapping::new(&MapRequest::anonymous(LEN_PAGES * PAGE_SIZE)));
            for page in 0..LEN_PAGES {
                assert_eq!(peek(memory.address() + page * PAGE_SIZE), 0);
            }
            let first = (number * 1000 + round) as u64;
            mark_pages(memory.address(), LEN_PAGES, first);
            process::yield_now();
            expect_marks(memory.address(), LEN_PAGES, first);
        }
    });
    threads.into_iter().for_each(result);
}

fn threads_use_the_heap_at_the_same_time() {
    let threads = spawn_pinned(THREADS, |number| {
        let mut lists: [Vec<usize>; 8] = [const { Vec::new() }; 8];
        for round in 0..200 {
            let list = &mut lists[round % 8];
            assert!(list.iter().all(|&value| value == number));
            let len = round * 37 % 300;
            *list = vec![number; len];
        }
    });
    threads.into_iter().for_each(result);
}
