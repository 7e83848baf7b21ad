//! Joining threads.

use abi::decode;
use ulib::mapping::{MapRequest, map, unmap};
use ulib::thread::{self, JoinHandle};
use ulib::{Errno, ExitStatus, Pid, Signal, file, process, system_call};

use crate::check::{ok, start, start_spinner};
use crate::pointers::BAD_ADDRESSES;
use crate::runner::tests;
use crate::thread_tools::{
    Arrivals, create, exit_thread, result, spawn, spawn_waiter, yield_until,
};

tests![
    join_polls_while_the_thread_runs,
    a_value_is_given_once,
    every_value_arrives,
    joining_waits_until_the_thread_ends,
    a_value_may_be_left_unasked,
    a_thread_of_another_process_cannot_be_joined,
    what_is_no_thread_cannot_be_joined,
    a_thread_cannot_join_itself,
    a_thread_that_runs_keeps_whoever_joins_it_waiting,
    one_of_two_that_wait_for_a_thread_gets_its_value,
    each_of_two_that_wait_for_different_threads_gets_its_own,
    a_bad_place_for_the_value_does_not_lose_the_thread,
    a_place_that_goes_while_its_owner_waits_does_not_lose_the_thread,
    the_first_thread_can_be_joined,
    a_process_outlives_its_first_thread,
];

extern "C" fn identity(argument: usize) -> usize {
    argument
}

/// What both ways of joining say. Nothing has changed then, the place for the value neither.
#[track_caller]
fn expect_join_error(tid: Pid, errno: Errno) {
    assert_eq!(thread::poll_join(tid), Err(errno), "polling for {tid}");
    let mut value = 99;
    // SAFETY: there is room for the value.
    let joined = decode(unsafe { system_call::join_thread_wait(tid, &raw mut value) });
    assert_eq!((joined, value), (Err(errno), 99), "waiting for {tid}");
}

/// A thread that runs until its own `gate` has an arrival.
fn spawn_guarded(gate: &'static Arrivals, value: usize) -> JoinHandle<()> {
    spawn(move || {
        gate.await_count(1);
        exit_thread(value)
    })
}

fn join_polls_while_the_thread_runs() {
    static GATE: Arrivals = Arrivals::new();
    let tid = spawn_guarded(&GATE, 44).tid();
    for _ in 0..10 {
        assert_eq!(thread::poll_join(tid), Ok(None));
    }
    GATE.arrive();
    let value = loop {
        match ok(thread::poll_join(tid)) {
            Some(value) => break value,
            None => process::yield_now(),
        }
    };
    assert_eq!(value, 44);
    expect_join_error(tid, Errno::ESRCH);
}

fn a_value_is_given_once() {
    let tids = [7, 8, 9].map(|value| create(identity, value));
    for (tid, value) in tids.into_iter().zip([7, 8, 9]).rev() {
        assert_eq!(thread::join(tid), Ok(value));
    }
    for tid in tids {
        expect_join_error(tid, Errno::ESRCH);
    }
}

/// Those that look like errors, too. The form that polls gives them as they are.
fn every_value_arrives() {
    for value in [
        0,
        1,
        1 << 31,
        1 << 63,
        usize::MAX - 4095,
        usize::MAX - 4094,
        usize::MAX,
    ] {
        assert_eq!(thread::join(create(identity, value)), Ok(value));
        if decode(value as isize) == Err(Errno::EAGAIN) {
            continue;
        }
        let tid = create(identity, value);
        let polled = loop {
            // SAFETY: the call touches no memory.
            let polled = unsafe { system_call::join_thread(tid) };
            if decode(polled) != Err(Errno::EAGAIN) {
                break polled;
            }
            process::yield_now();
        };
        assert_eq!(polled as usize, value);
    }
}

fn joining_waits_until_the_thread_ends() {
    let start_ns = process::clock_ns();
    let thread = spawn(|| process::sleep_ms(20));
    result(thread);
    assert!(process::clock_ns() - start_ns >= 20_000_000);
}

fn a_value_may_be_left_unasked() {
    let tid = create(identity, 5);
    // SAFETY: a null place is not written.
    let joined = unsafe { system_call::join_thread_wait(tid, core::ptr::null_mut()) };
    assert_eq!(decode(joined), Ok(0));
    expect_join_error(tid, Errno::ESRCH);
}

fn a_thread_of_another_process_cannot_be_joined() {
    let (tid_reader, tid_writer) = ok(file::pipe());
    let (gate_reader, gate_writer) = ok(file::pipe());
    let child = start(|| {
        let tids = [create(identity, 1), process::getpid()];
        ok(tid_writer.write_all(tids.map(Pid::to_ne_bytes).as_flattened()));
        ok(gate_reader.read_full(&mut [0]));
        assert_eq!(thread::join(tids[0]), Ok(1), "somebody else had it");
    });
    let mut tids = [[0; 4]; 2];
    assert_eq!(tid_reader.read_full(tids.as_flattened_mut()), Ok(8));
    for tid in tids.map(Pid::from_ne_bytes) {
        expect_join_error(tid, Errno::ESRCH);
    }
    ok(gate_writer.write_all(&[0]));
    crate::check::join(child);
}

fn what_is_no_thread_cannot_be_joined() {
    let freed = start(|| ());
    crate::check::join(freed);
    let child = start_spinner();
    for id in [
        0,
        -1,
        -5,
        i32::MIN,
        i32::MAX,
        0x7fff_fff0,
        abi::INIT_PID,
        process::getppid(),
        freed,
        child,
    ] {
        expect_join_error(id, Errno::ESRCH);
    }
    crate::check::kill(child);
}

fn a_thread_cannot_join_itself() {
    expect_join_error(process::gettid(), Errno::EDEADLK);
    let thread = spawn(|| expect_join_error(process::gettid(), Errno::EDEADLK));
    result(thread);
    expect_join_error(process::gettid(), Errno::EDEADLK);
}

fn a_thread_that_runs_keeps_whoever_joins_it_waiting() {
    static WAITING: Arrivals = Arrivals::new();
    let first = process::getpid();
    let thread = spawn(move || {
        assert_eq!(thread::poll_join(first), Ok(None), "it has not ended");
        WAITING.arrive();
        thread::join(first)
    });
    WAITING.await_count(1);
    process::sleep_ms(5);
    assert_eq!(thread::poll_join(thread.tid()), Ok(None));
    // The process ends while it waits.
}

fn one_of_two_that_wait_for_a_thread_gets_its_value() {
    for round in 0..20 {
        let gate: &Arrivals = alloc::boxed::Box::leak(alloc::boxed::Box::new(Arrivals::new()));
        let tid = spawn_guarded(gate, round).tid();
        let joiners = [(); 2].map(|()| spawn(move || thread::join(tid)));
        if round % 2 == 0 {
            process::sleep_ms(1);
        }
        gate.arrive();
        let mut results = joiners.map(result);
        results.sort_unstable_by_key(Result::is_err);
        assert_eq!(results, [Ok(round), Err(Errno::ESRCH)]);
    }
}

/// The thread ends first for which somebody waits who came last.
fn each_of_two_that_wait_for_different_threads_gets_its_own() {
    static GATES: [Arrivals; 2] = [const { Arrivals::new() }; 2];
    let tids = [0, 1].map(|number| spawn_guarded(&GATES[number], number).tid());
    let [first, second] = tids.map(|tid| spawn_waiter(move || thread::join(tid)));
    GATES[1].arrive();
    assert_eq!(result(second), Ok(1));
    assert_eq!(thread::poll_join(first.tid()), Ok(None));
    GATES[0].arrive();
    assert_eq!(result(first), Ok(0));
}

/// Joins `tid` with a place for its value that cannot be written.
fn join_with_bad_place(tid: Pid, place: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel cannot write there.
    decode(unsafe { system_call::join_thread_wait(tid, place as *mut usize) })
}

fn a_bad_place_for_the_value_does_not_lose_the_thread() {
    static CONSTANT: usize = 3;
    let read_only = [(&raw const CONSTANT).addr(), identity as *const () as usize];
    let bad = BAD_ADDRESSES.into_iter().map(|(_, address)| address);
    let tid = create(identity, 6);
    for place in bad.chain(read_only).filter(|&place| place != 0) {
        let joined = join_with_bad_place(tid, place);
        assert_eq!(joined, Err(Errno::EFAULT), "{place:#x}");
    }
    assert_eq!(thread::join(tid), Ok(6));
    assert_eq!(core::hint::black_box(&CONSTANT), &3);
}

fn a_place_that_goes_while_its_owner_waits_does_not_lose_the_thread() {
    static GATE: Arrivals = Arrivals::new();
    static WAITING: Arrivals = Arrivals::new();
    let place = ok(map(&MapRequest::anonymous(abi::layout::PAGE_SIZE)));
    let tid = spawn_guarded(&GATE, 7).tid();
    let joiner = spawn(move || {
        WAITING.arrive();
        join_with_bad_place(tid, place)
    });
    WAITING.await_count(1);
    process::sleep_ms(5);
    // SAFETY: only the kernel uses it, and finds that it is gone.
    ok(unsafe { unmap(place, abi::layout::PAGE_SIZE) });
    GATE.arrive();
    assert_eq!(result(joiner), Err(Errno::EFAULT));
    assert_eq!(thread::join(tid), Ok(7));
}

fn the_first_thread_can_be_joined() {
    let first = process::getpid();
    spawn(move || {
        assert_eq!(thread::join(first), Ok(77));
        expect_join_error(first, Errno::ESRCH);
        assert_eq!(process::getpid(), first);
        // SAFETY: signal 0 only checks.
        let sent = decode(unsafe { system_call::kill(first, 0) });
        assert_eq!(sent, Ok(0), "there still is a process of that id");
        process::exit(0)
    });
    exit_thread(77)
}

/// A child whose first thread has ended, while another one runs until it can read from the pipe, and then exits with 5.
fn start_without_first_thread(gate: &file::File) -> Pid {
    let (reader, writer) = ok(file::pipe());
    let descriptor = gate.descriptor();
    let child = start(|| {
        let first = process::getpid();
        spawn(move || {
            yield_until(|| thread::poll_join(first) != Ok(None));
            ok(writer.write_all(&[0]));
            ok(file::read(descriptor, &mut [0]));
            process::exit(5)
        });
        exit_thread(0)
    });
    ok(reader.read_full(&mut [0]));
    child
}

fn a_process_outlives_its_first_thread() {
    let (gate_reader, gate_writer) = ok(file::pipe());
    let child = start_without_first_thread(&gate_reader);
    // SAFETY: signal 0 only checks.
    let sent = decode(unsafe { system_call::kill(child, 0) });
    assert_eq!(sent, Ok(0));
    assert_eq!(process::try_wait(child), Ok(None));
    ok(gate_writer.write_all(&[0]));
    assert_eq!(process::wait(child), Ok(ExitStatus::exited(5)));

    let child = start_without_first_thread(&gate_reader);
    ok(process::kill(child, Signal::SIGTERM));
    assert_eq!(
        process::wait(child),
        Ok(ExitStatus::killed(Signal::SIGTERM))
    );
}
