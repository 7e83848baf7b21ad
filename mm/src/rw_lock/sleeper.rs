//! How threads sleep while they wait for a lock, and where a long operation lets others run: what `proc` tells `mm`.

use smp::wait::SpinWait;
use spin::Once;

/// How a thread gives its CPU away while it waits for a lock.
pub trait Sleeper: Sync {
    /// Returns soon after `is_to_wait` has become false and `wake_all` has been called with the same key, or earlier.
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool);
    /// Wakes all who wait with `key`. What they wait for has changed before.
    fn wake_all(&self, key: usize);
    /// Lets others have the CPU if it is their turn. False if the caller is to end.
    fn pause(&self) -> bool {
        true
    }
}

static SLEEPER: Once<&'static dyn Sleeper> = Once::new();

/// Says how threads sleep; once, when there are threads.
pub fn set_sleeper(sleeper: &'static dyn Sleeper) {
    SLEEPER.call_once(|| sleeper);
}

/// A point of a long operation between two steps: threads whose turn it is run here, and devices are served. No lock is
/// held.
///
/// # Errors
/// [`Ending`] if the thread is to end: nobody waits for the rest of the operation.
#[inline]
pub fn pause_point() -> Result<(), Ending> {
    match SLEEPER.get() {
        Some(sleeper) if !sleeper.pause() => Err(Ending),
        _ => Ok(()),
    }
}

/// The caller has been killed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ending;

/// How the kernel's threads sleep: as `proc` has said. Before there are threads nobody else has a CPU to give away to,
/// and a waiter spins.
#[derive(Copy, Clone, Debug)]
pub struct Threads;

impl Sleeper for Threads {
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool) {
        if let Some(sleeper) = SLEEPER.get() {
            sleeper.wait_while(key, is_to_wait);
            return;
        }
        let mut wait = SpinWait::new();
        while is_to_wait() {
            smp::mailbox::serve_requests();
            assert!(wait.turn(), "a reader/writer lock is never given back");
        }
    }

    fn wake_all(&self, key: usize) {
        if let Some(sleeper) = SLEEPER.get() {
            sleeper.wake_all(key);
        }
    }
}
