//! Creating threads by the system call itself, and joining them.

use alloc::vec::Vec;

use abi::layout::PAGE_SIZE;
use ulib::mapping::{MapRequest, Mapping};
use ulib::sync::Mutex;
use ulib::{Errno, Pid, println, process, thread};

use crate::ok;

const STACK_LEN: usize = 4 * PAGE_SIZE;

/// What the threads want before they do anything.
static GATE: Mutex<()> = Mutex::new(());

/// Each thread's number and id, as it sees them.
static SEEN: Mutex<Vec<(usize, Pid)>> = Mutex::new(Vec::new());

pub(crate) fn show(count: usize) {
    println!("Create and join: each thread gives back 100 more than its number.");
    let gate = GATE.lock();
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let stack = ok(Mapping::new(&MapRequest::anonymous(STACK_LEN)));
        // SAFETY: 1. the stack is mapped, and stays until the thread has been joined; 2. the function may be called
        // with any number.
        let tid = unsafe { thread::create(add_100, number, stack.address() + STACK_LEN) };
        threads.push((ok(tid), stack));
    }
    for (tid, _) in &threads {
        assert_eq!(
            thread::poll_join(*tid),
            Ok(None),
            "{tid} is still at the gate"
        );
    }
    println!("  all are there, and polling says of each that it has not ended");
    drop(gate);

    for (number, (tid, _)) in threads.iter().enumerate() {
        let (ended, joined, value) = if is_even(number) {
            ("has returned", "polling", join_by_polling(*tid))
        } else {
            ("has exited with", "waiting", ok(thread::join(*tid)))
        };
        println!("  thread {number}, id {tid}, {ended} {value}; joined by {joined}");
        assert_eq!(value, number + 100);
    }
    check_ids(&threads);
    check_refusals(threads.first().map_or(0, |(tid, _)| *tid));
    println!();
}

/// What the threads do. The even ones just return: the library has put on their stacks where to (exercise KERN-10G).
extern "C" fn add_100(number: usize) -> usize {
    drop(GATE.lock());
    SEEN.lock().push((number, process::gettid()));
    let value = number + 100;
    if is_even(number) {
        return value;
    }
    // SAFETY: it is in no scope.
    unsafe { thread::exit(value) }
}

fn is_even(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn join_by_polling(tid: Pid) -> usize {
    loop {
        match ok(thread::poll_join(tid)) {
            Some(value) => return value,
            None => process::yield_now(),
        }
    }
}

/// Each thread must have seen the id under which it was joined, and these must be different ones.
fn check_ids(threads: &[(Pid, Mapping)]) {
    let mut seen = SEEN.lock();
    seen.sort_unstable();
    let expected = threads.iter().map(|(tid, _)| *tid).enumerate();
    assert!(
        expected.eq(seen.iter().copied()),
        "the threads have seen other ids: {seen:?}"
    );
    let mut ids: Vec<Pid> = threads.iter().map(|(tid, _)| *tid).collect();
    ids.push(process::gettid());
    ids.sort_unstable();
    assert!(
        ids.windows(2).all(|pair| pair[0] != pair[1]),
        "two threads had one id: {ids:?}"
    );
    println!("  each had an id of its own, which gettid() told it");
}

/// Some threads cannot be joined.
fn check_refusals(joined: Pid) {
    const INIT: Pid = 1;
    let refusals = [
        ("one that has been joined", joined, Errno::ESRCH),
        ("the thread itself", process::gettid(), Errno::EDEADLK),
        ("one of another process", INIT, Errno::ESRCH),
    ];
    for (whom, tid, expected) in refusals {
        for refusal in [
            thread::poll_join(tid).map(drop),
            thread::join(tid).map(drop),
        ] {
            assert_eq!(refusal, Err(expected), "joining {whom}");
        }
        println!("  refused: joining {whom} ({expected:?})");
    }
}
