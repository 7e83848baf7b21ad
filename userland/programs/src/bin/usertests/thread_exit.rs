//! How threads and processes of several threads end, and what `fork` copies of them.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ulib::{Errno, ExitStatus, Pid, Signal, file, process, thread};

use crate::check::{UNMAPPED, join, ok, poke, start, status_of};
use crate::runner::tests;
use crate::thread_tools::{Arrivals, create, result, spawn, spawn_pinned, yield_until};

tests![
    exit_thread_leaves_the_others,
    a_joined_thread_leaves_nothing,
    the_only_thread_ends_its_process_by_exit_thread,
    the_last_thread_ends_its_process_whichever_it_is,
    exit_ends_all_threads_whoever_calls_it,
    the_first_of_several_ends_counts,
    a_signal_to_a_thread_ends_its_process,
    a_fault_in_a_thread_ends_its_process,
    a_fork_copies_only_the_thread_that_calls_it,
    any_thread_can_fork,
    a_forked_child_can_have_threads,
    the_parents_threads_are_none_of_the_childs,
    orphans_of_each_thread_become_children_of_init,
    any_thread_can_wait_for_the_children_of_each,
];

fn exit_thread_leaves_the_others() {
    static GATE: Arrivals = Arrivals::new();
    let others = [1, 2].map(|value| {
        spawn(move || {
            GATE.await_count(1);
            value
        })
    });
    let ended = spawn(|| -> () { thread::exit(4) });
    assert_eq!(ended.join(), None);
    GATE.arrive();
    assert_eq!(others.map(result), [1, 2]);
}

extern "C" fn end_at_once(argument: usize) -> usize {
    argument
}

/// Its kernel stack, its id and its place in the kernel's heap are free when it has been joined.
fn a_joined_thread_leaves_nothing() {
    let cpus = process::cpu_count();
    let stack_top = crate::thread_tools::new_stack();
    let create_and_join = |round: usize| {
        process::pin(round % cpus);
        // SAFETY: 1. no other thread has the stack, since the one before has been joined. 2. the function does nothing.
        let tid = ok(unsafe { thread::create(end_at_once, round, stack_top) });
        assert_eq!(thread::join(tid), Ok(round));
    };
    (0..cpus).for_each(create_and_join);
    let accounts = || {
        let info = process::sysinfo();
        (
            info.table_entries,
            info.kernel_stack_frames,
            info.heap_bytes,
        )
    };
    let before = accounts();
    for round in 0..40 {
        create_and_join(round);
        assert_eq!(accounts(), before, "after {round} threads");
    }
}

fn the_only_thread_ends_its_process_by_exit_thread() {
    for (value, code) in [
        (0, 0),
        (5, 5),
        (255, 255),
        (256, 0),
        (0x1234_5678_9abc_de09, 9),
        (usize::MAX, 255),
    ] {
        let status = status_of(|| thread::exit(value));
        assert_eq!(status, ExitStatus::exited(code), "exit_thread({value:#x})");
    }
}

fn the_last_thread_ends_its_process_whichever_it_is() {
    static GATE: Arrivals = Arrivals::new();
    // The first one is the last.
    let status = status_of(|| {
        let others = [1, 2].map(|value| create(end_at_once, value));
        assert_eq!(thread::join(others[0]), Ok(1));
        yield_until(|| thread::poll_join(others[1]) != Ok(None));
        thread::exit(3)
    });
    assert_eq!(status, ExitStatus::exited(3));
    // The second one is.
    let status = status_of(|| {
        let first = process::getpid();
        drop(spawn(move || -> () {
            assert_eq!(thread::join(first), Ok(1));
            thread::exit(4)
        }));
        thread::exit(1)
    });
    assert_eq!(status, ExitStatus::exited(4));
    // Any one: what each gives is the same.
    let status = status_of(|| {
        drop(spawn_pinned(6, |_| -> () {
            GATE.await_count(1);
            thread::exit(5)
        }));
        GATE.arrive();
        thread::exit(5)
    });
    assert_eq!(status, ExitStatus::exited(5));
}

fn exit_ends_all_threads_whoever_calls_it() {
    for caller in 0..4 {
        let status = status_of(|| {
            drop(spawn_pinned(4, move |number| {
                if number == caller {
                    process::exit(40 + number as i32);
                }
                process::sleep_ms(1_000_000);
            }));
            process::sleep_ms(1_000_000);
            1
        });
        assert_eq!(status, ExitStatus::exited(40 + caller as i32));
    }
}

/// Nobody can say which is the first. But it is one of them, and all of it.
fn the_first_of_several_ends_counts() {
    static GATE: Arrivals = Arrivals::new();
    for _ in 0..20 {
        let status = status_of(|| {
            drop(spawn_pinned(3, |number| {
                GATE.arrive();
                GATE.await_count(4);
                match number {
                    0 => process::exit(10),
                    1 => ok(process::kill(process::getpid(), Signal::SIGTERM)),
                    _ => thread::exit(11),
                }
            }));
            GATE.arrive();
            GATE.await_count(4);
            process::exit(12)
        });
        let possible = [
            ExitStatus::exited(10),
            ExitStatus::exited(12),
            ExitStatus::killed(Signal::SIGTERM),
        ];
        assert!(possible.contains(&status), "{status}");
    }
}

/// A child with a thread that sleeps, whose id it says.
fn start_with_sleeping_thread() -> (Pid, Pid) {
    let (reader, writer) = ok(file::pipe());
    let child = start(|| {
        let thread = spawn(|| process::sleep_ms(1_000_000));
        ok(writer.write_all(&thread.tid().to_ne_bytes()));
        process::sleep_ms(1_000_000);
    });
    let mut tid = [0; 4];
    assert_eq!(reader.read_full(&mut tid), Ok(4));
    (child, Pid::from_ne_bytes(tid))
}

fn a_signal_to_a_thread_ends_its_process() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (child, tid) = start_with_sleeping_thread();
        ok(process::kill(tid, signal));
        assert_eq!(process::wait(child), Ok(ExitStatus::killed(signal)));
        assert_eq!(process::kill(tid, signal), Err(Errno::ESRCH));
    }
}

fn a_fault_in_a_thread_ends_its_process() {
    let status = status_of(|| {
        drop(spawn(|| poke(UNMAPPED, 1)));
        process::sleep_ms(1_000_000);
        0
    });
    assert_eq!(status, ExitStatus::killed(Signal::SIGSEGV));
}

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
        let status = status_of(|| thread::exit(number));
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
