//! Loom models of waiting: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test 'loom_*'`.
//!
//! The queues and the parking are the kernel's own; only the scheduler is a stand-in. Loom reports a deadlock if
//! somebody sleeps for ever.
#![cfg(loom)]

mod line;
mod model_thread;

use std::sync::Arc;

use abi::Signal;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use proc::single_wait::SingleWait;
use proc::wait::{Interrupted, WaitQueue, Waiter};
use smp::wait::set_spin_limit;

use self::model_thread::{ModelThread, bounded, start};

/// Things of which each waiter wants one.
struct Supply {
    left: Mutex<usize>,
    arrived: WaitQueue<ModelThread>,
}

impl Supply {
    fn new(left: usize) -> Arc<Supply> {
        set_spin_limit(0);
        let supply = Supply {
            left: Mutex::new(left),
            arrived: WaitQueue::new(),
        };
        // Loom wants its atomics made before they are shared.
        supply.arrived.wake_all();
        Arc::new(supply)
    }

    fn take(&self) -> Result<(), Interrupted> {
        self.arrived.wait_until(|| self.try_take())
    }

    fn try_take(&self) -> Option<()> {
        let mut left = self.left.lock().unwrap();
        *left = left.checked_sub(1)?;
        Some(())
    }

    fn add_one(&self) {
        *self.left.lock().unwrap() += 1;
        self.arrived.wake_one();
    }
}

/// Makes the thread take a signal.
fn signal(model_thread: Arc<ModelThread>) {
    assert_eq!(model_thread.attention.post(Signal::SIGUSR1), Ok(()));
    ModelThread::unpark(model_thread);
}

fn taker(
    supply: &Arc<Supply>,
) -> (
    Arc<ModelThread>,
    thread::JoinHandle<Result<(), Interrupted>>,
) {
    let supply = supply.clone();
    start(move || supply.take())
}

/// WAIT-1.
#[test]
fn what_arrives_before_during_or_after_the_look_is_found() {
    loom::model(|| {
        let supply = Supply::new(0);
        let (_, taker) = taker(&supply);
        supply.add_one();
        assert_eq!(taker.join().unwrap(), Ok(()));
    });
}

/// WAIT-2, for one who finds what it wants without having been woken for it: then it is taken out of the queue for the
/// second thing, and the other has to get that. The look before the queue is left out, to save interleavings.
#[test]
fn two_wake_ups_of_one_serve_two_waiters() {
    bounded(2, || {
        let supply = Supply::new(0);
        let takers = [(); 2].map(|()| {
            let supply = supply.clone();
            start(move || {
                let mut looks = 0;
                supply.arrived.wait_until(|| {
                    looks += 1;
                    (looks > 1).then(|| supply.try_take()).flatten()
                })
            })
        });
        supply.add_one();
        supply.add_one();
        for (_, taker) in takers {
            assert_eq!(taker.join().unwrap(), Ok(()));
        }
    });
}

#[test]
fn wake_all_wakes_all() {
    bounded(3, || {
        let supply = Supply::new(0);
        let takers = [(); 2].map(|()| taker(&supply).1);
        *supply.left.lock().unwrap() = 2;
        supply.arrived.wake_all();
        for taker in takers {
            assert_eq!(taker.join().unwrap(), Ok(()));
        }
    });
}

/// PARK-2 through the whole of a wait.
#[test]
fn a_kill_ends_a_wait_whenever_it_comes() {
    loom::model(|| {
        let supply = Supply::new(0);
        let (victim, taker) = taker(&supply);
        victim.kill();
        assert_eq!(taker.join().unwrap(), Err(Interrupted));
    });
}

#[test]
fn a_signal_ends_a_wait_whenever_it_comes() {
    loom::model(|| {
        let supply = Supply::new(0);
        let (interrupted, taker) = taker(&supply);
        signal(interrupted);
        assert_eq!(taker.join().unwrap(), Err(Interrupted));
    });
}

/// What is waited for comes before what interrupts, as a child's end comes before the SIGCHLD that tells of it. A kill
/// stands for the signal here: loom does not put the look at the attention before a post, which begins with a look.
#[test]
fn what_has_come_before_an_interruption_ends_the_wait_and_not_the_interruption() {
    loom::model(|| {
        let supply = Supply::new(0);
        let (interrupted, taker) = taker(&supply);
        *supply.left.lock().unwrap() = 1;
        interrupted.kill();
        assert_eq!(taker.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_signal_that_comes_with_a_wake_up_takes_nothing_away() {
    bounded(3, || {
        let supply = Supply::new(0);
        let (interrupted, taker) = taker(&supply);
        let sender = thread::spawn(move || signal(interrupted));
        supply.add_one();
        let left = usize::from(taker.join().unwrap().is_err());
        sender.join().unwrap();
        assert_eq!(*supply.left.lock().unwrap(), left);
    });
}

#[test]
fn neither_a_signal_nor_a_kill_ends_a_wait_for_what_comes_soon() {
    bounded(4, || {
        let supply = Supply::new(0);
        let takes = supply.clone();
        let (waiter, taker) = start(move || takes.arrived.wait_uninterrupted(|| takes.try_take()));
        signal(waiter.clone());
        waiter.kill();
        supply.add_one();
        taker.join().unwrap();
        assert_eq!(*supply.left.lock().unwrap(), 0);
    });
}

/// WAIT-2, for one who leaves because it is killed: what it was woken for goes to the other.
#[test]
fn a_wake_up_is_not_lost_with_a_waiter_that_is_killed() {
    bounded(3, || {
        let supply = Supply::new(0);
        let (victim, killed) = taker(&supply);
        let (_, survivor) = taker(&supply);
        supply.add_one();
        victim.kill();
        if killed.join().unwrap().is_ok() {
            supply.add_one();
        }
        assert_eq!(survivor.join().unwrap(), Ok(()));
    });
}

/// The same with the kill, or a signal, at any time.
#[test]
fn an_interruption_and_a_wake_up_at_once_leave_the_other_waiter_its_share() {
    for interrupt in [ModelThread::kill, signal] {
        bounded(2, move || {
            let supply = Supply::new(0);
            let (victim, interrupted) = taker(&supply);
            let (_, survivor) = taker(&supply);
            let sender = thread::spawn(move || interrupt(victim));
            supply.add_one();
            if interrupted.join().unwrap().is_ok() {
                supply.add_one();
            }
            assert_eq!(survivor.join().unwrap(), Ok(()));
            sender.join().unwrap();
        });
    }
}

/// One thing, and who waits for it.
struct Parcel {
    is_here: AtomicBool,
    receiver: SingleWait<ModelThread>,
}

impl Parcel {
    fn new() -> Arc<Parcel> {
        let parcel = Parcel {
            is_here: AtomicBool::new(false),
            receiver: SingleWait::new(),
        };
        // Loom wants its atomics made before they are shared.
        parcel.receiver.wake();
        Arc::new(parcel)
    }

    // Relaxed, all: SINGLE-1 orders them.

    fn send(&self) {
        self.is_here.store(true, Ordering::Relaxed);
        self.receiver.wake();
    }

    fn receive(&self) -> Result<(), Interrupted> {
        let is_here = || self.is_here.load(Ordering::Relaxed).then_some(());
        self.receiver.sleep_until(is_here)?;
        self.is_here.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// SINGLE-1.
#[test]
fn a_parcel_that_is_sent_is_received_by_the_one_that_waits() {
    loom::model(|| {
        let parcel = Parcel::new();
        let waiting = parcel.clone();
        let (_, receiver) = start(move || waiting.receive());
        parcel.send();
        assert_eq!(receiver.join().unwrap(), Ok(()));
    });
}

/// As of those that wait in a queue.
#[test]
fn a_parcel_that_has_come_before_an_interruption_is_received() {
    loom::model(|| {
        let parcel = Parcel::new();
        let waiting = parcel.clone();
        let (interrupted, receiver) = start(move || waiting.receive());
        // Release: who sees the interruption sees the parcel.
        parcel.is_here.store(true, Ordering::Relaxed);
        loom::sync::atomic::fence(Ordering::Release);
        interrupted.kill();
        assert_eq!(receiver.join().unwrap(), Ok(()));
    });
}

/// SINGLE-2.
#[test]
fn a_parcel_that_comes_with_a_signal_is_received_or_still_there() {
    bounded(3, || {
        let parcel = Parcel::new();
        let waiting = parcel.clone();
        let (model_thread, receiver) = start(move || {
            let first = waiting.receive();
            let second = if first.is_ok() {
                first
            } else {
                waiting.receive()
            };
            (first, second)
        });
        let sending = parcel.clone();
        let sender = thread::spawn(move || sending.send());
        signal(model_thread);
        let (first, second) = receiver.join().unwrap();
        sender.join().unwrap();
        // The signal, which nobody takes, interrupts the second wait too, unless the parcel is there.
        let is_received = first.or(second).is_ok();
        assert_eq!(parcel.is_here.load(Ordering::Relaxed), !is_received);
    });
}
