//! What `fork` copies of a process of several threads, and whose children there are then.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ulib::{Errno, ExitStatus, Pid, file, process, thread};

use crate::check::{join, ok, start, status_of};
use crate::runner::tests;
use crate::thread_exit::end_at_once;
use crate::thread_tools::{
    Arrivals, create, exit_thread, result, spawn, spawn_pinned, yield_until,
};

tests![
    a_fork_copies_only_the_thread_that_calls_it,
    any_thread_can_fork,
    a_forked_child_can_have_threads,
    the_parents_threads_are_none_of_the_childs,
    orphans_of_each_thread_become_children_of_init,
    any_thread_can_wait_for_the_children_of_each,
];

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Threads that count for ever.
fn start_counting() {
    drop(spawn_pinned(3, |_| {
        loop {
            // Relaxed: only the number matters.
            COUNTER.fetch_add(1, Ordering::Relaxed);
        }
    }));
    yield_until(|| COUNTER.load(Ordering::Relaxed) > 1000);
}

fn a_fork_copies_only_the_thread_that_calls_it() {
    start_counting();
    let entries = process::sysinfo().table_entries;
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        let count = COUNTER.load(Ordering::Relaxed);
        ok(reader.read_full(&mut [0]));
        process::sleep_ms(5);
        assert_eq!(COUNTER.load(Ordering::Relaxed), count, "somebody counts");
    });
    assert_eq!(process::sysinfo().table_entries, entries + 1);
    // They go on here.
    let count = COUNTER.load(Ordering::Relaxed);
    yield_until(|| COUNTER.load(Ordering::Relaxed) > count + 1000);
    ok(writer.write_all(&[0]));
    join(child);
}

fn any_thread_can_fork() {
    let threads = spawn_pinned(4, |number| {
        let parent = process::getpid();
        let status = status_of(|| {
            assert_eq!(process::gettid(), process::getpid(), "the first thread");
            assert_eq!(process::getppid(), parent);
            number as i32
        });
        assert_eq!(status, ExitStatus::exited(number as i32));
        // It is the only one, too.
        let status = status_of(|| exit_thread(number));
        assert_eq!(status, ExitStatus::exited(number as i32));
    });
    threads.into_iter().for_each(result);
}

fn a_forked_child_can_have_threads() {
    let grow = |depth: usize| {
        let threads = spawn_pinned(3, move |number| number * depth);
        assert!(threads.into_iter().map(result).eq([0, depth, 2 * depth]));
    };
    grow(1);
    let thread = spawn(move || {
        join(start(|| {
            grow(2);
            join(start(|| grow(3)));
        }));
    });
    result(thread);
}

fn the_parents_threads_are_none_of_the_childs() {
    static GATE: Arrivals = Arrivals::new();
    let running = spawn(|| GATE.await_count(1));
    let ended = create(end_at_once, 6);
    join(start(|| {
        for tid in [running.tid(), ended] {
            assert_eq!(thread::poll_join(tid), Err(Errno::ESRCH));
        }
    }));
    GATE.arrive();
    result(running);
    assert_eq!(thread::join(ended), Ok(6));
}

fn orphans_of_each_thread_become_children_of_init() {
    let (reader, writer) = ok(file::pipe());
    join(start(|| {
        let threads = spawn_pinned(4, {
            let descriptor = writer.descriptor();
            move |_| {
                start(|| {
                    while process::getppid() != abi::INIT_PID {
                        process::yield_now();
                    }
                    ok(file::write(descriptor, b"a"));
                });
            }
        });
        threads.into_iter().for_each(result);
    }));
    drop(writer);
    let mut bytes = [0; 5];
    assert_eq!(reader.read_full(&mut bytes), Ok(4));
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

fn any_thread_can_wait_for_the_children_of_each() {
    let children: Vec<Pid> = spawn_pinned(4, |number| ok(process::start(|| number as i32)))
        .into_iter()
        .map(result)
        .collect();
    let waiters = children.clone().into_iter().rev();
    let waiters: Vec<_> = waiters
        .map(|child| spawn(move || (child, process::wait(child))))
        .collect();
    for (child, status) in waiters.into_iter().map(result) {
        let number = children.iter().position(|&other| other == child);
        assert_eq!(
            Some(status),
            number.map(|number| Ok(ExitStatus::exited(number as i32)))
        );
    }
    // Of two that wait for the same child, one gets it.
    let child = start(|| process::sleep_ms(2));
    let waiters = [(); 2].map(|()| spawn(move || process::wait(child)));
    let mut statuses = waiters.map(result);
    statuses.sort_unstable_by_key(Result::is_err);
    assert_eq!(statuses, [Ok(ExitStatus::exited(0)), Err(Errno::ECHILD)]);
}
