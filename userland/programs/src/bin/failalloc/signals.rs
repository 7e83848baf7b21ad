//! Signals: a handler's first call in a thread, and what is copied when a process with handlers forks.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::Sysno;
use ulib::failures::Plan;
use ulib::{Errno, Signal, accounts, process, signal};

use crate::processes;
use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("sigaction", set_handler, |_| {}),
    Operation::new("the first signal", take_first, |_| {}).needs_nothing(),
    Operation::new("the first fault's signal", take_first_fault, |_| {}).needs_nothing(),
    Operation::new("fork with a handler", fork_with_handler, processes::wait),
    Operation::new(
        "create_thread with a handler",
        create_thread_with_handler,
        processes::join,
    ),
    Operation::new("fork in a handler", fork_in_handler, |_| {}),
];

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_call(_signal: i32, _address: usize, _kind: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

fn call_sigaction(plan: Plan) -> Attempt {
    let signal = Signal::SIGUSR1.number() as usize;
    let handler = count_call as *const () as usize;
    // SAFETY: a handler is a safe function.
    unsafe { Attempt::call(plan, Sysno::SigAction, [signal, handler, 0, 0, 0, 0]) }
}

fn kill_oneself(plan: Plan) -> Attempt {
    let arguments = [
        process::getpid() as usize,
        Signal::SIGUSR1.number() as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: there is a handler, which harms nothing.
    unsafe { Attempt::call(plan, Sysno::Kill, arguments) }
}

/// If a handler can be set, it is called.
fn set_handler(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        call_sigaction(plan).result?;
        process::kill(process::getpid(), Signal::SIGUSR1)?;
        was_called()
    })
}

fn was_called() -> Result<(), Errno> {
    match CALLS.load(Ordering::Relaxed) {
        1 => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// A signal that was accepted is handled, memory or not.
fn take_first(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        signal::handle(Signal::SIGUSR1, Some(count_call))?;
        kill_oneself(plan).result?;
        was_called()
    })
}

/// So is a fault for which there is a handler.
fn take_first_fault(plan: Plan) -> Attempt {
    extern "C" fn step_over(_signal: i32, _address: usize, _kind: usize) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
    Attempt::in_child(|| {
        signal::handle(Signal::SIGTRAP, Some(step_over))?;
        plan.arm()?;
        // SAFETY: the handler returns behind the instruction.
        unsafe { core::arch::asm!("int3") };
        ulib::failures::disarm()?;
        was_called()
    })
}

fn fork_with_handler(plan: Plan) -> Attempt {
    match signal::handle(Signal::SIGUSR1, Some(count_call)) {
        Ok(()) => processes::fork(plan),
        Err(errno) => Attempt::not_begun(errno),
    }
}

fn create_thread_with_handler(plan: Plan) -> Attempt {
    match signal::handle(Signal::SIGUSR1, Some(count_call)) {
        Ok(()) => processes::create_thread(plan),
        Err(errno) => Attempt::not_begun(errno),
    }
}

/// The plan for the handler, and the error of its fork.
static FIRST: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
static ERROR: AtomicU32 = AtomicU32::new(0);

extern "C" fn fork_here(_signal: i32, _address: usize, _kind: usize) {
    let plan = Plan {
        first: FIRST.load(Ordering::Relaxed),
        count: COUNT.load(Ordering::Relaxed),
    };
    match processes::fork(plan).result {
        Ok(child) => processes::wait(child),
        Err(errno) => ERROR.store(errno.number() as u32, Ordering::Relaxed),
    }
}

fn fork_in_handler(plan: Plan) -> Attempt {
    Attempt::in_child(|| {
        signal::handle(Signal::SIGUSR1, Some(fork_here))?;
        FIRST.store(plan.first, Ordering::Relaxed);
        COUNT.store(plan.count, Ordering::Relaxed);
        accounts::now();
        process::kill(process::getpid(), Signal::SIGUSR1)?;
        match ERROR.load(Ordering::Relaxed) {
            0 => Ok(()),
            error => Err(Errno::from_number(error as usize).unwrap_or(Errno::EINVAL)),
        }
    })
}
