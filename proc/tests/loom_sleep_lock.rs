//! Loom models of sleeping locks: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test 'loom_*'`.
#![cfg(loom)]

mod line;
mod model_thread;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use proc::sleep_lock::SleepLock;
use proc::wait::Interrupted;
use smp::wait::set_spin_limit;

use self::model_thread::{ModelThread, bounded, start};

/// A sleeping lock and what it guards, whose accesses loom watches.
struct Guarded {
    lock: SleepLock<(), ModelThread>,
    value: UnsafeCell<usize>,
}

// SAFETY: that is what the model is to find out.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Guarded> {
        set_spin_limit(0);
        let guarded = Guarded {
            lock: SleepLock::new(()),
            value: UnsafeCell::new(0),
        };
        drop(guarded.lock.lock());
        Arc::new(guarded)
    }

    fn add_one(&self) -> Result<(), Interrupted> {
        let _guard = self.lock.lock()?;
        // SAFETY: the lock is held.
        self.value.with_mut(|value| unsafe { *value += 1 });
        Ok(())
    }
}

fn adder(
    guarded: &Arc<Guarded>,
) -> (
    Arc<ModelThread>,
    thread::JoinHandle<Result<(), Interrupted>>,
) {
    let guarded = guarded.clone();
    start(move || guarded.add_one())
}

/// `adders` and the model's main thread use the lock once each.
fn each_adds_one(adders: usize) {
    let guarded = Guarded::new();
    let others: Vec<_> = (0..adders).map(|_| adder(&guarded).1).collect();
    assert_eq!(guarded.add_one(), Ok(()));
    for other in others {
        assert_eq!(other.join().unwrap(), Ok(()));
    }
    // SAFETY: nobody else is left.
    assert_eq!(guarded.value.with(|value| unsafe { *value }), adders + 1);
}

#[test]
fn a_sleeping_lock_excludes_and_wakes_who_waits() {
    bounded(3, || each_adds_one(1));
}

#[test]
fn a_sleeping_lock_goes_to_everybody_who_waits() {
    bounded(2, || each_adds_one(2));
}

#[test]
fn a_sleeping_lock_passes_by_a_waiter_that_is_killed() {
    bounded(3, || {
        let guarded = Guarded::new();
        let (victim, killed) = adder(&guarded);
        let (_, survivor) = adder(&guarded);
        victim.kill();
        let added = killed.join().unwrap().is_ok();
        assert_eq!(survivor.join().unwrap(), Ok(()));
        // SAFETY: nobody else is left.
        let value = guarded.value.with(|value| unsafe { *value });
        assert_eq!(value, 1 + usize::from(added));
    });
}
