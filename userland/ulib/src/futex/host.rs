//! Stands in for the kernel's futexes in host tests, where the threads are the host's.
//!
//! It keeps to what the kernel promises and to nothing more: no sleeper is missed, no more are woken than asked for,
//! and some waits end with `EINTR`, as if a signal had come. It lets others run where a wake-up could get lost, and a
//! test in which one is lost fails.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use abi::Errno;

/// One wait in so many is interrupted.
const INTERRUPTION_INTERVAL: usize = 5;

/// One pause in so many is a long one.
const LONG_PAUSE_INTERVAL: usize = 7;
const LONG_PAUSE: Duration = Duration::from_micros(200);

/// Whoever sleeps as long has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

struct Sleeper {
    address: usize,
    thread: Thread,
}

/// Those who have slept longest come first.
static SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());

/// As on the machine.
pub fn wait(word: &AtomicU32, value: u32) -> Result<(), Errno> {
    static WAITS: AtomicUsize = AtomicUsize::new(0);
    // The word may change between the caller's look and its sleep.
    let_others_run();
    // Relaxed: only the number itself counts.
    if WAITS
        .fetch_add(1, Ordering::Relaxed)
        .is_multiple_of(INTERRUPTION_INTERVAL)
    {
        return Err(Errno::EINTR);
    }
    let mut sleepers = sleepers();
    // Relaxed: who changes the word wakes with the lock, so either it has changed here, or the waker finds us.
    if word.load(Ordering::Relaxed) != value {
        return Err(Errno::EAGAIN);
    }
    sleepers.push(Sleeper {
        address: word.as_ptr().addr(),
        thread: thread::current(),
    });
    drop(sleepers);
    let start = Instant::now();
    while is_sleeper(&thread::current()) {
        assert!(start.elapsed() < PATIENCE, "a wake-up is lost");
        thread::park_timeout(PATIENCE);
    }
    Ok(())
}

/// As on the machine.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    let address = word.as_ptr().addr();
    let woken = sleepers()
        .extract_if(.., |sleeper| sleeper.address == address)
        .take(count as usize)
        .map(|sleeper| sleeper.thread.unpark())
        .count();
    // Those who have been woken may come before what the caller does next.
    let_others_run();
    woken
}

/// Gives up the CPU, and now and then for so long that others certainly get one.
fn let_others_run() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only the number itself counts.
    if CALLS
        .fetch_add(1, Ordering::Relaxed)
        .is_multiple_of(LONG_PAUSE_INTERVAL)
    {
        thread::sleep(LONG_PAUSE);
    } else {
        thread::yield_now();
    }
}

fn is_sleeper(thread: &Thread) -> bool {
    sleepers()
        .iter()
        .any(|sleeper| sleeper.thread.id() == thread.id())
}

fn sleepers() -> MutexGuard<'static, Vec<Sleeper>> {
    SLEEPERS.lock().unwrap()
}
