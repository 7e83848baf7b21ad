//! The end of a process while its threads are in the middle of something; and many ends in a row.

use core::hint::spin_loop;

use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Sysno, decode};
use ulib::mapping::{MapRequest, Mapping, move_frames, protect};
use ulib::{Errno, ExitStatus, Pid, Protection, process, system_call, thread};

use crate::check::{kill, mark_pages, ok, start, start_spinner};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, exit_thread, spawn_pinned};

tests![
    a_process_ends_while_its_threads_fork,
    a_process_ends_while_its_threads_create_threads,
    a_process_ends_while_its_threads_create_others_that_stay,
    a_process_ends_while_its_threads_fault,
    a_process_ends_while_its_threads_map_and_unmap,
    a_process_ends_while_its_threads_change_rights,
    a_process_ends_while_its_threads_move_frames,
    a_process_ends_while_its_threads_end,
    a_thousand_children_are_killed_and_each_says_so,
    children_with_threads_are_killed_and_each_says_so,
];

/// How many threads are in the middle of something.
const THREADS: usize = 4;
/// How many processes end.
const ROUNDS: u64 = 8;

/// Starts processes whose threads, on all CPUs, do `work` over and over, and ends them in the middle of it, each
/// `step_ns` later than the one before.
fn end_within(step_ns: u64, work: fn()) {
    static THERE: Arrivals = Arrivals::new();
    for round in 0..ROUNDS {
        let child = start(|| {
            drop(spawn_pinned(THREADS, move |_| {
                THERE.arrive();
                THERE.await_count(THREADS);
                loop {
                    work();
                }
            }));
            THERE.await_count(THREADS);
            let deadline_ns = process::clock_ns() + round * step_ns;
            while process::clock_ns() < deadline_ns {
                spin_loop();
            }
            process::exit(7);
        });
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(7)));
    }
}

const STEP_NS: u64 = 200_000;

/// Without the library, which would let one thread fork at a time. The child does not use the library either.
fn fork_and_wait() {
    // SAFETY: the child ends at once.
    let child = unsafe { system_call::fork() };
    if child == 0 {
        process::exit(0);
    }
    let status = decode(child).and_then(|child| process::wait(child as Pid));
    assert_eq!(status, Ok(ExitStatus::exited(0)));
}

/// Sleeps for as long as its argument says, and ends the thread, without using a stack.
#[unsafe(naked)]
extern "C" fn sleep_and_exit() -> ! {
    core::arch::naked_asm!(
        "mov eax, {sleep_ms}",
        "syscall",
        "xor edi, edi",
        "mov eax, {exit_thread}",
        "syscall",
        "ud2",
        sleep_ms = const Sysno::SleepMs as usize,
        exit_thread = const Sysno::ExitThread as usize,
    )
}

fn create(sleep_ms: usize) -> Result<Pid, Errno> {
    let function = sleep_and_exit as *const () as usize;
    // SAFETY: the function uses no stack.
    let tid = unsafe { system_call::create_thread(function, sleep_ms, USER_END) };
    decode(tid).map(|tid| tid as Pid)
}

fn create_and_join() {
    assert_eq!(create(0).and_then(thread::join), Ok(0));
}

/// How many threads or mappings stay: a process that ends late must not take all the memory.
const STAYING_MAX: usize = 200;
static STAYING: Arrivals = Arrivals::new();

/// Whoever comes too late to be told that the process ends, would keep it.
fn create_one_that_stays() {
    if STAYING.count() >= STAYING_MAX {
        return create_and_join();
    }
    STAYING.arrive();
    ok(create(1_000_000));
}

const LEN: usize = 8 * PAGE_SIZE;

/// What a thread works on until the process ends.
fn new_pages() -> Mapping {
    let pages = ok(Mapping::new(&MapRequest::anonymous(LEN)));
    mark_pages(pages.address(), LEN / PAGE_SIZE, 1);
    pages
}

/// The end finds some of them.
fn touch_new_pages() {
    let pages = new_pages();
    if STAYING.count() < STAYING_MAX {
        STAYING.arrive();
        core::mem::forget(pages);
    }
}

fn map_and_unmap() {
    drop(new_pages());
}

fn change_rights() {
    let pages = new_pages();
    for _ in 0..8 {
        ok(protect(pages.address(), LEN, Protection::READ));
        let both = Protection::READ | Protection::WRITE;
        ok(protect(pages.address(), LEN, both));
        mark_pages(pages.address(), LEN / PAGE_SIZE, 1);
    }
}

fn move_pages() {
    let pages = new_pages();
    for _ in 0..8 {
        ok(move_frames(pages.address(), LEN));
    }
}

fn a_process_ends_while_its_threads_fork() {
    end_within(STEP_NS, fork_and_wait);
}

fn a_process_ends_while_its_threads_create_threads() {
    end_within(STEP_NS, create_and_join);
}

/// They are soon very many.
fn a_process_ends_while_its_threads_create_others_that_stay() {
    end_within(STEP_NS / 10, create_one_that_stays);
}

fn a_process_ends_while_its_threads_fault() {
    end_within(STEP_NS, touch_new_pages);
}

fn a_process_ends_while_its_threads_map_and_unmap() {
    end_within(STEP_NS, map_and_unmap);
}

fn a_process_ends_while_its_threads_change_rights() {
    end_within(STEP_NS, change_rights);
}

fn a_process_ends_while_its_threads_move_frames() {
    end_within(STEP_NS, move_pages);
}

/// The first thread at the same time as the others, of which the last could end the process too.
fn a_process_ends_while_its_threads_end() {
    static GATE: Arrivals = Arrivals::new();
    for round in 0..ROUNDS {
        let child = start(|| {
            drop(spawn_pinned(2 * THREADS, |_| -> () {
                GATE.await_count(1);
                exit_thread(7)
            }));
            GATE.arrive();
            (0..round * 100).for_each(|_| spin_loop());
            process::exit(7);
        });
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(7)));
    }
}

/// Some have not run yet when the signal comes; others sleep, fork, or now and then run.
fn a_thousand_children_are_killed_and_each_says_so() {
    for round in 0..1000 {
        let child = match round % 4 {
            0 => start(|| process::sleep_ms(1_000_000)),
            1 => start(|| {
                loop {
                    fork_and_wait();
                }
            }),
            _ => start_spinner(),
        };
        // With one CPU a spinner keeps it for a tick.
        if round % 4 < 2 || round % 32 == 3 {
            process::yield_now();
        }
        kill(child);
    }
}

fn children_with_threads_are_killed_and_each_says_so() {
    for round in 0..40 {
        let child = start(|| {
            drop(spawn_pinned(THREADS, |number| match number % 2 {
                0 => process::sleep_ms(1_000_000),
                _ => loop {
                    create_and_join();
                },
            }));
            loop {
                spin_loop();
            }
        });
        if round % 4 == 3 {
            process::sleep_ms(1);
        }
        kill(child);
    }
}
