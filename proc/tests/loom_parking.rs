//! Loom models of parking: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test 'loom_*'`.
//!
//! The next thread on the sleeper's CPU is played by the sleeper itself, since the one comes after the other. Loom
//! reports a deadlock if the sleeper is never enqueued.
#![cfg(loom)]

mod line;

use std::sync::Arc;

use abi::Signal;
use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use proc::attention::Attention;
use proc::parking::{Finish, Parking, Unpark};

use self::line::Line;

struct Sleeper {
    parking: Parking,
    attention: Attention,
    /// What it sleeps for, and the lock by which wakers find it.
    event: Mutex<bool>,
    /// Raised by whoever enqueues it.
    runs: Line,
    /// How often it has been enqueued.
    enqueued: AtomicUsize,
    /// Stands for the registers that are saved before it is parked: whoever lets it run on reads them.
    registers: UnsafeCell<usize>,
}

// SAFETY: whether the registers are accessed in turn is what the models are to find out.
unsafe impl Sync for Sleeper {}
// SAFETY: as above.
unsafe impl Send for Sleeper {}

impl Sleeper {
    fn new() -> Arc<Sleeper> {
        Arc::new(Sleeper {
            parking: Parking::new(),
            attention: Attention::new(),
            event: Mutex::new(false),
            runs: Line::new(),
            enqueued: AtomicUsize::new(0),
            registers: UnsafeCell::new(0),
        })
    }

    fn has_happened(&self) -> bool {
        *self.event.lock().unwrap()
    }

    /// One sleep. True if the thread slept, false if the last look was enough.
    fn sleep(&self) -> bool {
        self.parking.begin();
        if self.has_happened() || self.attention.is_interrupted() {
            self.parking.cancel();
            return false;
        }
        // SAFETY: the thread runs, so nobody else may touch them.
        self.registers
            .with_mut(|registers| unsafe { *registers += 1 });
        match self.parking.finish() {
            Finish::AlreadyWoken => self.enqueue(),
            Finish::Parked => {}
        }
        self.runs.wait();
        true
    }

    fn enqueue(&self) {
        // SAFETY: the thread sleeps, and one alone is to enqueue it (PARK-1).
        self.registers
            .with_mut(|registers| unsafe { *registers += 1 });
        self.enqueued.fetch_add(1, Ordering::Relaxed);
        assert!(!self.runs.raise(), "PARK-1: enqueued twice");
    }

    fn unpark(&self) {
        if self.parking.unpark() == Unpark::Enqueue {
            self.enqueue();
        }
    }

    /// As a timer or the waker of a queue.
    fn wake(&self) {
        *self.event.lock().unwrap() = true;
        self.unpark();
    }

    fn kill(&self) {
        self.attention.set_dying();
        self.unpark();
    }

    fn signal(&self) {
        assert_eq!(self.attention.post(Signal::SIGUSR1), Ok(()));
        self.unpark();
    }
}

fn on_another_cpu(
    sleeper: &Arc<Sleeper>,
    act: impl FnOnce(&Sleeper) + 'static,
) -> thread::JoinHandle<()> {
    let sleeper = sleeper.clone();
    thread::spawn(move || act(&sleeper))
}

/// With three threads there are too many interleavings for all of them.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// PARK-2: there is no lock between the two.
#[test]
fn a_kill_or_a_signal_ends_a_sleep_whenever_it_comes() {
    for interrupt in [Sleeper::kill, Sleeper::signal] {
        loom::model(move || {
            let sleeper = Sleeper::new();
            let sender = on_another_cpu(&sleeper, interrupt);
            if sleeper.sleep() {
                assert!(sleeper.attention.is_interrupted(), "woken for nothing");
            }
            sender.join().unwrap();
        });
    }
}

#[test]
fn a_wake_up_ends_a_sleep_whenever_it_comes() {
    loom::model(|| {
        let sleeper = Sleeper::new();
        let waker = on_another_cpu(&sleeper, Sleeper::wake);
        sleeper.sleep();
        assert!(sleeper.has_happened(), "woken for nothing");
        waker.join().unwrap();
    });
}

/// Whether the wake-up comes before the sleep is complete or after it.
#[test]
fn who_was_woken_sees_what_was_set_before_that() {
    loom::model(|| {
        let sleeper = Sleeper::new();
        let set = Arc::new(AtomicUsize::new(0));
        sleeper.parking.begin();
        let waker = {
            let set = set.clone();
            on_another_cpu(&sleeper, move |sleeper| {
                set.store(1, Ordering::Relaxed);
                sleeper.unpark();
            })
        };
        if sleeper.parking.finish() == Finish::Parked {
            sleeper.runs.wait();
        }
        assert_eq!(set.load(Ordering::Relaxed), 1);
        waker.join().unwrap();
    });
}

/// PARK-1, and the sleep after one that was ended twice.
#[test]
fn of_a_waker_and_a_killer_one_enqueues() {
    bounded(|| {
        let sleeper = Sleeper::new();
        let killer = on_another_cpu(&sleeper, Sleeper::kill);
        let waker = on_another_cpu(&sleeper, Sleeper::wake);
        let mut slept = 0;
        // A sleep that was ended by the one does not hide the other.
        while !(sleeper.has_happened() && sleeper.attention.is_dying()) {
            sleeper.parking.begin();
            if sleeper.has_happened() && sleeper.attention.is_dying() {
                sleeper.parking.cancel();
                break;
            }
            if sleeper.parking.finish() == Finish::AlreadyWoken {
                sleeper.enqueue();
            }
            sleeper.runs.wait();
            slept += 1;
        }
        killer.join().unwrap();
        waker.join().unwrap();
        assert_eq!(sleeper.enqueued.load(Ordering::Relaxed), slept);
        assert_eq!(sleeper.parking.unpark(), Unpark::Nothing, "still asleep");
    });
}

/// A wake-up that arrives after the sleep that it was meant for is over.
#[test]
fn a_late_wake_up_ends_at_most_the_next_sleep() {
    bounded(|| {
        let sleeper = Sleeper::new();
        let late = on_another_cpu(&sleeper, Sleeper::unpark);
        let killer = on_another_cpu(&sleeper, Sleeper::kill);
        let mut slept = 0;
        while !sleeper.attention.is_dying() {
            slept += usize::from(sleeper.sleep());
        }
        late.join().unwrap();
        killer.join().unwrap();
        assert!(slept <= 2);
        assert_eq!(sleeper.enqueued.load(Ordering::Relaxed), slept);
    });
}
