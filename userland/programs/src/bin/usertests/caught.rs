//! What tests of signals have in common: a handler that notes what it is called with, and code that runs in a handler.

use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

use abi::decode;
use alloc::vec::Vec;
use ulib::signal::FaultKind;
use ulib::{Errno, Pid, Signal, process, signal, system_call};

use crate::check::ok;

/// What a handler was called with, and in which thread.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Caught {
    pub(crate) signal: Signal,
    pub(crate) address: usize,
    pub(crate) kind: FaultKind,
    pub(crate) tid: Pid,
}

/// One call, as atomics: the thread that looks can be another one.
struct Record {
    /// 0 until the others are there.
    signal: AtomicI32,
    address: AtomicUsize,
    kind: AtomicUsize,
    tid: AtomicI32,
}

const ROOM: usize = 128;
static RECORDS: [Record; ROOM] = [const { Record::new() }; ROOM];
static BEGUN: AtomicUsize = AtomicUsize::new(0);

impl Record {
    const fn new() -> Record {
        Record {
            signal: AtomicI32::new(0),
            address: AtomicUsize::new(0),
            kind: AtomicUsize::new(0),
            tid: AtomicI32::new(0),
        }
    }

    fn get(&self) -> Option<Caught> {
        // Acquire pairs with the Release in `note`. Relaxed: stored before that.
        Some(Caught {
            signal: Signal::from_number(self.signal.load(Ordering::Acquire))?,
            address: self.address.load(Ordering::Relaxed),
            kind: FaultKind::from_number(self.kind.load(Ordering::Relaxed))?,
            tid: self.tid.load(Ordering::Relaxed),
        })
    }
}

/// The handler.
pub(crate) extern "C" fn note(signal: i32, address: usize, kind: usize) {
    // Relaxed: each call gets another record, which is all that counts.
    let record = &RECORDS[BEGUN.fetch_add(1, Ordering::Relaxed)];
    record.address.store(address, Ordering::Relaxed);
    record.kind.store(kind, Ordering::Relaxed);
    record.tid.store(process::gettid(), Ordering::Relaxed);
    // Release pairs with the Acquire in `get`: who sees the signal sees the rest.
    record.signal.store(signal, Ordering::Release);
}

/// Lets [`note`] handle these signals.
#[track_caller]
pub(crate) fn catch(signals: &[Signal]) {
    for &signal in signals {
        ok(signal::handle(signal, Some(note)));
    }
}

/// What has been noted, in order.
pub(crate) fn all() -> impl Iterator<Item = Caught> {
    RECORDS.iter().filter_map(Record::get)
}

/// The signals that have been noted, in order.
pub(crate) fn signals() -> Vec<Signal> {
    all().map(|caught| caught.signal).collect()
}

/// The last that has been noted.
#[track_caller]
pub(crate) fn last() -> Caught {
    match all().last() {
        Some(caught) => caught,
        None => panic!("no signal has been handled"),
    }
}

/// Whether the thread `tid` has handled a signal.
pub(crate) fn has_caught(tid: Pid) -> bool {
    all().any(|caught| caught.tid == tid)
}

/// Whether the process or thread `pid` has ended, waited for or not.
pub(crate) fn has_ended(pid: Pid) -> bool {
    // SAFETY: signal 0 does nothing.
    decode(unsafe { system_call::kill(pid, 0) }) == Err(Errno::ESRCH)
}

/// All signals that can be caught.
pub(crate) fn catchable() -> impl Iterator<Item = Signal> {
    (1..=Signal::MAX)
        .filter_map(Signal::from_number)
        .filter(|&signal| signal != Signal::SIGKILL)
}

/// The signal by which [`in_handler`] gets there.
const BY: Signal = Signal::SIGALRM;
/// What [`in_handler`] runs.
static BODY: AtomicPtr<&mut dyn FnMut()> = AtomicPtr::new(core::ptr::null_mut());

/// Runs `body` in a handler of the calling thread. When it has begun, another thread may do the same.
#[track_caller]
pub(crate) fn in_handler(body: impl FnOnce()) {
    let mut body = Some(body);
    let mut run = || {
        if let Some(body) = body.take() {
            body();
        }
    };
    let mut run: &mut dyn FnMut() = &mut run;
    // Relaxed, as below: the thread sends the signal to itself.
    BODY.store((&raw mut run).cast(), Ordering::Relaxed);
    ok(signal::handle(BY, Some(run_body)));
    ok(process::kill(process::gettid(), BY));
    assert!(body.is_none(), "the handler has not been called");
}

extern "C" fn run_body(_: i32, _: usize, _: usize) {
    let body = BODY.swap(core::ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `in_handler` has left it for this thread, and waits for this call.
    if let Some(run) = unsafe { body.as_mut() } {
        run();
    }
}

/// Waits until `is_so`; the test has failed if it never is. Others may run meanwhile.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline_ns = process::clock_ns() + PATIENCE_NS;
    while !is_so() {
        assert!(process::clock_ns() < deadline_ns, "never: {what}");
        process::sleep_ms(1);
    }
}

const PATIENCE_NS: u64 = 15_000_000_000;
/// How long the effect of a signal may take before another one is sent, in sleeps of a millisecond.
const RESEND_AFTER: usize = 300;

/// Sends a signal to the thread `tid`, which is going to wait for something, until it has been interrupted: the first
/// one may come just before it waits.
#[track_caller]
pub(crate) fn interrupt(tid: Pid, signal: Signal, is_interrupted: impl Fn() -> bool) {
    let deadline_ns = process::clock_ns() + PATIENCE_NS;
    // What is not blocked yet will be by then.
    process::sleep_ms(5);
    while !is_interrupted() {
        assert!(
            process::clock_ns() < deadline_ns,
            "never interrupted: {tid}"
        );
        match process::kill(tid, signal) {
            Ok(()) | Err(Errno::EAGAIN) => {}
            // It is through.
            Err(Errno::ESRCH) if is_interrupted() => {}
            Err(errno) => panic!("no signal to {tid}: {errno}"),
        }
        for _ in 0..RESEND_AFTER {
            if is_interrupted() {
                break;
            }
            process::sleep_ms(1);
        }
    }
}

/// Calls `wait` until it is not ended by a signal, such as one that was sent to end the wait before and comes late.
pub(crate) fn whole<T>(mut wait: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match wait() {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}
