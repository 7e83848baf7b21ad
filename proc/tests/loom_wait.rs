//! Loom models of waiting: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test 'loom_*'`.
//!
//! The queues and the parking are the kernel's own; only the scheduler is a stand-in. Loom reports a deadlock if somebody
//! sleeps for ever.
#![cfg(loom)]

mod line;

use std::cell::RefCell;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::thread;
use proc::attention::Attention;
use proc::parking::{Finish, Parking};
use proc::sleep_lock::SleepLock;
use proc::thread::WAIT_LINK;
use proc::wait::{Interrupted, WaitQueue, Waiter};
use smp::list::{Link, Linked};
use smp::wait::set_spin_limit;

use self::line::Line;

/// A thread.
struct ModelThread {
    parking: Parking,
    attention: Attention,
    link: Link<ModelThread>,
    /// Raised while it is in a run queue.
    runs: Line,
}

loom::thread_local! {
    static CURRENT: RefCell<Option<Arc<ModelThread>>> = RefCell::new(None);
}

impl ModelThread {
    fn new() -> Arc<ModelThread> {
        Arc::new(ModelThread {
            parking: Parking::new(),
            attention: Attention::new(),
            link: Link::new(),
            runs: Line::new(),
        })
    }

    fn kill(self: Arc<ModelThread>) {
        self.attention.set_dying();
        ModelThread::unpark(self);
    }
}

impl Linked<WAIT_LINK> for ModelThread {
    fn link(&self) -> &Link<ModelThread> {
        &self.link
    }
}

impl Waiter for ModelThread {
    fn current() -> Arc<ModelThread> {
        CURRENT.with(|current| {
            current
                .borrow_mut()
                .get_or_insert_with(ModelThread::new)
                .clone()
        })
    }

    fn parking(&self) -> &Parking {
        &self.parking
    }

    fn is_dying(&self) -> bool {
        self.attention.is_dying()
    }

    /// The second half of the switch is the next thread's; it comes after the first in any case.
    fn block() {
        let current = ModelThread::current();
        if current.parking.finish() == Finish::AlreadyWoken {
            ModelThread::enqueue(current.clone());
        }
        current.runs.wait();
    }

    fn enqueue(waiter: Arc<ModelThread>) {
        assert!(!waiter.runs.raise(), "PARK-1: enqueued twice");
    }
}

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

/// Runs `act` as another thread of the model, which others can kill.
fn start<T: 'static>(
    act: impl FnOnce() -> T + 'static,
) -> (Arc<ModelThread>, thread::JoinHandle<T>) {
    let model_thread = ModelThread::new();
    let current = model_thread.clone();
    let handle = thread::spawn(move || {
        CURRENT.with(|slot| *slot.borrow_mut() = Some(current));
        act()
    });
    (model_thread, handle)
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

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
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

/// WAIT-2, for one who finds what it wants without having been woken for it: then it is taken out of the queue for the second
/// thing, and the other has to get that. The look before the queue is left out, to save interleavings.
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

/// The same with the kill at any time.
#[test]
fn a_kill_and_a_wake_up_at_once_leave_the_other_waiter_its_share() {
    bounded(2, || {
        let supply = Supply::new(0);
        let (victim, killed) = taker(&supply);
        let (_, survivor) = taker(&supply);
        let killer = thread::spawn(move || victim.kill());
        supply.add_one();
        if killed.join().unwrap().is_ok() {
            supply.add_one();
        }
        assert_eq!(survivor.join().unwrap(), Ok(()));
        killer.join().unwrap();
    });
}

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
