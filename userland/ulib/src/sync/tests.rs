//! Threads of the host use the locks, over a stand-in for the kernel's futexes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Barrier, Condvar, Mutex, Once};

const THREADS: usize = 4;

#[test]
fn a_failed_try_lock_leaves_the_lock_to_who_has_it() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    assert!(mutex.try_lock().is_none());
    assert!(mutex.try_lock().is_none());
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn one_thread_at_a_time_has_a_mutex() {
    const ADDITIONS: usize = 2000;
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ADDITIONS {
                    let mut count = count.lock();
                    let before = *count;
                    // Others come in between, if they can, or sleep.
                    thread::yield_now();
                    *count = before + 1;
                }
            });
        }
    });
    assert_eq!(count.into_inner(), THREADS * ADDITIONS);
}

/// A queue that is full with one value, so that both ends have to wait.
struct BoundedQueue {
    value: Mutex<Option<usize>>,
    is_empty: Condvar,
    is_full: Condvar,
}

impl BoundedQueue {
    fn push(&self, new: usize) {
        let value = self.value.lock();
        // The other end comes to want the mutex.
        thread::yield_now();
        let mut value = self.is_empty.wait_while(value, |value| value.is_some());
        *value = Some(new);
        drop(value);
        self.is_full.notify_one();
    }

    fn pop(&self) -> usize {
        let value = self.value.lock();
        thread::yield_now();
        let mut value = self.is_full.wait_while(value, |value| value.is_none());
        let popped = value.take().unwrap();
        drop(value);
        self.is_empty.notify_one();
        popped
    }
}

#[test]
fn each_value_comes_through_a_bounded_queue_once() {
    const VALUES: usize = 1500;
    // With one at each end nobody makes up for a notification that is lost.
    for pairs in [1, THREADS] {
        let queue = BoundedQueue {
            value: Mutex::new(None),
            is_empty: Condvar::new(),
            is_full: Condvar::new(),
        };
        let mut received = thread::scope(|scope| {
            for producer in 0..pairs {
                let queue = &queue;
                let values = producer * VALUES..(producer + 1) * VALUES;
                scope.spawn(move || values.for_each(|value| queue.push(value)));
            }
            let consume = || (0..VALUES).map(|_| queue.pop()).collect::<Vec<_>>();
            let consumers: Vec<_> = (0..pairs).map(|_| scope.spawn(consume)).collect();
            let received = consumers.into_iter().map(|consumer| consumer.join());
            received.flat_map(Result::unwrap).collect::<Vec<_>>()
        });
        received.sort_unstable();
        assert_eq!(received, Vec::from_iter(0..pairs * VALUES));
    }
}

#[test]
fn a_notification_of_all_wakes_all() {
    const ROUNDS: usize = 20;
    let (round, changed) = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 1..=ROUNDS {
                    drop(changed.wait_while(round.lock(), |round| *round < number));
                }
            });
        }
        for number in 1..=ROUNDS {
            let_others_fall_asleep();
            *round.lock() = number;
            changed.notify_all();
        }
    });
}

#[test]
fn nobody_leaves_a_barrier_before_all_have_come() {
    const ROUNDS: usize = 500;
    let barrier = Barrier::new(THREADS);
    let (arrived, leaders) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    // Relaxed: the barrier orders what the threads do.
                    arrived.fetch_add(1, Ordering::Relaxed);
                    let is_leader = barrier.wait();
                    leaders.fetch_add(usize::from(is_leader), Ordering::Relaxed);
                    let seen = arrived.load(Ordering::Relaxed);
                    let expected = (round + 1) * THREADS;
                    // Those who are ahead may have come to the next round, but not beyond it.
                    assert!((expected..expected + THREADS).contains(&seen), "{seen}");
                }
            });
        }
    });
    assert_eq!(leaders.into_inner(), ROUNDS);
}

#[test]
fn a_barrier_for_one_thread_never_waits() {
    for threads in [0, 1] {
        let barrier = Barrier::new(threads);
        assert!(barrier.wait() && barrier.wait());
    }
}

#[test]
fn of_all_closures_one_runs_and_nobody_goes_on_before_it_has() {
    const ROUNDS: usize = 20;
    for _ in 0..ROUNDS {
        let once = Once::new();
        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        assert!(!once.is_completed());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    once.call_once(|| {
                        begun.fetch_add(1, Ordering::Relaxed);
                        let_others_fall_asleep();
                        // Relaxed: `once` orders it.
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(once.is_completed());
                    assert_eq!(done.load(Ordering::Relaxed), 1);
                });
            }
        });
        assert_eq!(begun.into_inner(), 1);
    }
}

fn let_others_fall_asleep() {
    thread::sleep(Duration::from_millis(2));
}
