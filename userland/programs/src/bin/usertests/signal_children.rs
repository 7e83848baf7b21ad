//! `SIGCHLD`, and forks in a handler.

use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use abi::{WAIT_ANY, decode};
use ulib::{Errno, ExitStatus, Pid, Signal, file, process, signal, system_call};

use crate::caught::{self, catch, has_ended, in_handler, wait_until};
use crate::check::{join, ok, start};
use crate::runner::tests;

tests![
    the_end_of_a_child_sends_sigchld,
    sigchld_with_a_handler_ends_a_sleep,
    waitpid_returns_the_child_whose_end_sends_the_signal,
    a_handler_of_sigchld_can_wait_for_every_child,
    a_child_that_ends_during_the_handler_is_not_missed,
    a_child_forked_in_a_handler_is_in_it_too,
    a_child_forked_in_a_handler_goes_back_to_the_same_registers,
];

fn the_end_of_a_child_sends_sigchld() {
    catch(&[Signal::SIGCHLD]);
    for count in 1..=5 {
        let child = start(|| ());
        wait_until("the signal", || caught::all().count() == count);
        assert_eq!(caught::last().signal, Signal::SIGCHLD);
        join(child);
    }
    // A child that is killed has ended, too.
    let child = start(|| process::sleep_ms(1_000_000));
    ok(process::kill(child, Signal::SIGKILL));
    wait_until("the signal", || caught::all().count() == 6);
    assert!(process::wait(child).is_ok());
}

fn sigchld_with_a_handler_ends_a_sleep() {
    catch(&[Signal::SIGCHLD]);
    let child = start(|| process::sleep_ms(20));
    // SAFETY: the call touches no memory.
    let slept = decode(unsafe { system_call::sleep_ms(1_000_000) });
    assert_eq!(slept, Err(Errno::EINTR));
    join(child);
}

/// What is waited for has happened when the signal comes, and counts.
fn waitpid_returns_the_child_whose_end_sends_the_signal() {
    catch(&[Signal::SIGCHLD]);
    for count in 1..=20 {
        let child = ok(process::start(|| 4));
        assert_eq!(process::wait(child), Ok(ExitStatus::exited(4)));
        wait_until("the signal", || caught::all().count() == count);
    }
}

/// How many children [`wait_for_all`] has waited for. Relaxed: the handler runs in the thread that looks.
static WAITED_FOR: AtomicUsize = AtomicUsize::new(0);

extern "C" fn wait_for_all(_: i32, _: usize, _: usize) {
    while let Ok(Some(_)) = process::try_wait(WAIT_ANY) {
        WAITED_FOR.fetch_add(1, Ordering::Relaxed);
    }
}

fn a_handler_of_sigchld_can_wait_for_every_child() {
    const CHILDREN: usize = 24;
    ok(signal::handle(Signal::SIGCHLD, Some(wait_for_all)));
    for number in 0..CHILDREN {
        start(|| process::sleep_ms(number as u64 % 5));
    }
    wait_until("all have been waited for", || {
        WAITED_FOR.load(Ordering::Relaxed) == CHILDREN
    });
    assert_eq!(process::wait_any(), Err(Errno::ECHILD));
}

fn a_child_that_ends_during_the_handler_is_not_missed() {
    /// The second child, and where it waits.
    static SECOND: AtomicI32 = AtomicI32::new(0);
    static WRITER: AtomicI32 = AtomicI32::new(0);
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn let_the_second_end(_: i32, _: usize, _: usize) {
        // Relaxed, all: the handler runs in the thread that looks.
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
            ok(file::write_all(WRITER.load(Ordering::Relaxed), &[0]));
            let second = SECOND.load(Ordering::Relaxed);
            wait_until("the second has ended", || has_ended(second));
        }
    }
    let (reader, writer) = ok(file::pipe());
    let second = start(|| assert_eq!(reader.read(&mut [0]), Ok(1)));
    WRITER.store(writer.descriptor(), Ordering::Relaxed);
    SECOND.store(second, Ordering::Relaxed);
    ok(signal::handle(Signal::SIGCHLD, Some(let_the_second_end)));
    let first = start(|| ());
    wait_until("the handler has run twice", || {
        CALLS.load(Ordering::Relaxed) == 2
    });
    [first, second].into_iter().for_each(join);
}

fn a_child_forked_in_a_handler_is_in_it_too() {
    catch(&[Signal::SIGUSR1]);
    let own = process::getpid();
    let is_refused = || process::kill(process::getpid(), Signal::SIGUSR1) == Err(Errno::EAGAIN);
    let mut child = None;
    in_handler(|| {
        child = Some(ok(process::fork()));
        assert!(is_refused());
    });
    // Here come both, each out of its own handler.
    assert_eq!(caught::signals(), []);
    ok(process::kill(process::getpid(), Signal::SIGUSR1));
    assert_eq!(caught::signals(), [Signal::SIGUSR1]);
    match child {
        Some(process::Fork::Parent(child)) => join(child),
        _ => {
            assert_ne!(process::getpid(), own);
            process::exit(0);
        }
    }
}

/// The child of the handler of `changed_by_fork_in_handler`; 0 in the child.
static CHILD: AtomicI32 = AtomicI32::new(0);

extern "C" fn fork_here(_: i32, _: usize, _: usize) {
    let child: Pid = match ok(process::fork()) {
        process::Fork::Parent(child) => child,
        process::Fork::Child => 0,
    };
    // Relaxed: the handler runs in the thread that looks.
    CHILD.store(child, Ordering::Relaxed);
}

fn a_child_forked_in_a_handler_goes_back_to_the_same_registers() {
    ok(signal::handle(Signal::SIGTRAP, Some(fork_here)));
    for seed in 1..4 {
        let changed = programs::all_registers::changed_by_breakpoint(seed);
        match CHILD.load(Ordering::Relaxed) {
            0 => process::exit(i32::from(changed.is_some())),
            child => join(child),
        }
        assert_eq!(changed, None);
    }
}
