//! How threads end, and processes of several threads.

use ulib::{Errno, ExitStatus, Pid, Signal, file, process, thread};

use crate::check::{UNMAPPED, ok, poke, start, status_of};
use crate::runner::tests;
use crate::thread_tools::{
    Arrivals, create, exit_thread, result, spawn, spawn_pinned, yield_until,
};

tests![
    exit_thread_leaves_the_others,
    a_joined_thread_leaves_nothing,
    the_only_thread_ends_its_process_by_exit_thread,
    the_last_thread_ends_its_process_whichever_it_is,
    exit_ends_all_threads_whoever_calls_it,
    the_first_of_several_ends_counts,
    a_signal_to_a_thread_ends_its_process,
    a_fault_in_a_thread_ends_its_process,
];

fn exit_thread_leaves_the_others() {
    static GATE: Arrivals = Arrivals::new();
    let others = [1, 2].map(|value| {
        spawn(move || {
            GATE.await_count(1);
            value
        })
    });
    let ended = spawn(|| -> () { exit_thread(4) });
    assert_eq!(ended.join(), None);
    GATE.arrive();
    assert_eq!(others.map(result), [1, 2]);
}

pub(crate) extern "C" fn end_at_once(argument: usize) -> usize {
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
        let status = status_of(|| exit_thread(value));
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
        exit_thread(3)
    });
    assert_eq!(status, ExitStatus::exited(3));
    // The second one is.
    let status = status_of(|| {
        let first = process::getpid();
        drop(spawn(move || -> () {
            assert_eq!(thread::join(first), Ok(1));
            exit_thread(4)
        }));
        exit_thread(1)
    });
    assert_eq!(status, ExitStatus::exited(4));
    // Any one: what each gives is the same.
    let status = status_of(|| {
        drop(spawn_pinned(6, |_| -> () {
            GATE.await_count(1);
            exit_thread(5)
        }));
        GATE.arrive();
        exit_thread(5)
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
                    _ => exit_thread(11),
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
