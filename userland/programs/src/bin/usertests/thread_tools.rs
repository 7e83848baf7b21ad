//! What tests of threads need.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{ThreadRegisters, decode};
use ulib::mapping::{MapRequest, map};
use ulib::thread::{self, JoinHandle};
use ulib::{Errno, Pid, process, system_call};

use crate::check::ok;

/// How long a stack of [`new_stack`] is.
const STACK_LEN: usize = 8 * PAGE_SIZE;

/// The end of a new stack, which stays until the test ends.
#[track_caller]
pub(crate) fn new_stack() -> usize {
    ok(map(&MapRequest::anonymous(STACK_LEN))) + STACK_LEN
}

/// Starts a thread that runs `function(argument)` on a new stack.
#[track_caller]
pub(crate) fn create(function: extern "C" fn(usize) -> usize, argument: usize) -> Pid {
    // SAFETY: 1. the stack is new. 2. the tests only pass functions and arguments that go together.
    ok(unsafe { thread::create(function, argument, new_stack()) })
}

/// The system call `create_thread_registers`.
pub(crate) fn create_with(registers: &ThreadRegisters) -> Result<Pid, Errno> {
    // SAFETY: the tests pass registers that are refused, or with which a function runs on a new stack.
    decode(unsafe { system_call::create_thread_registers(registers) }).map(|tid| tid as Pid)
}

/// Starts a thread that runs `body`.
#[track_caller]
pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    ok(thread::spawn(body))
}

/// Starts `count` threads that run `body`, each with its number and on the CPU of that number modulo the count of CPUs.
#[track_caller]
pub(crate) fn spawn_pinned<T: Send + 'static>(
    count: usize,
    body: impl Fn(usize) -> T + Copy + Send + 'static,
) -> Vec<JoinHandle<T>> {
    let cpus = process::cpu_count();
    let spawn = |number| {
        spawn(move || {
            process::pin(number % cpus);
            body(number)
        })
    };
    (0..count).map(spawn).collect()
}

/// Starts a thread that runs `body`, which begins with a wait in the kernel, and returns when it waits: both are on one
/// CPU, and this one gives it to the other again and again after that has begun.
#[track_caller]
pub(crate) fn spawn_waiter<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    process::pin(process::getcpu());
    let has_begun = Arc::new(Arrivals::new());
    let waiter = spawn({
        let has_begun = has_begun.clone();
        move || {
            has_begun.arrive();
            body()
        }
    });
    has_begun.await_count(1);
    for _ in 0..YIELDS {
        process::yield_now();
    }
    waiter
}

/// How often others get the CPU that are about to wait.
pub(crate) const YIELDS: usize = 20;

/// The result of a thread that returns.
#[track_caller]
pub(crate) fn result<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Some(result) => result,
        None => panic!("a thread has ended without a result"),
    }
}

/// Lets others run until `condition` holds.
pub(crate) fn yield_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        process::yield_now();
    }
}

/// A count of threads or processes that have come to some point.
pub(crate) struct Arrivals(AtomicUsize);

impl Arrivals {
    pub(crate) const fn new() -> Arrivals {
        Arrivals(AtomicUsize::new(0))
    }

    /// One more is here.
    pub(crate) fn arrive(&self) {
        // Release pairs with the Acquire in `count`: who sees the arrival sees what came before.
        self.0.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Waits until `count` have arrived.
    pub(crate) fn await_count(&self, count: usize) {
        yield_until(|| self.count() >= count);
    }
}

/// Ends this thread.
pub(crate) fn exit_thread(value: usize) -> ! {
    // SAFETY: no thread of a scope opens one in these tests and calls this in it.
    unsafe { thread::exit(value) }
}
