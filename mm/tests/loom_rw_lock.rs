//! Loom models of the reader/writer lock: `RUSTFLAGS="--cfg loom" cargo test -p mm --release --test loom_rw_lock`.
//!
//! The lock is the kernel's own; a queue of threads is stood in for by a mutex and a condition variable. Loom reports a
//! deadlock if somebody sleeps for ever, and accesses of the value that are not one after the other.
#![cfg(loom)]

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use mm::rw_lock::{RwLock, Sleeper};

struct Queue {
    look: Mutex<()>,
    change: Condvar,
}

impl Sleeper for Queue {
    fn wait_while(&self, _key: usize, is_to_wait: &dyn Fn() -> bool) {
        let mut look = self.look.lock().unwrap();
        while is_to_wait() {
            look = self.change.wait(look).unwrap();
        }
    }

    fn wake_all(&self, _key: usize) {
        drop(self.look.lock().unwrap());
        self.change.notify_all();
    }
}

/// A number whose accesses loom sees.
struct Number(UnsafeCell<usize>);

// SAFETY: whether accesses exclude each other is what the models are to find out.
unsafe impl Sync for Number {}
// SAFETY: as above.
unsafe impl Send for Number {}

type Lock = RwLock<Number, Queue>;

fn lock() -> Arc<Lock> {
    let queue = Queue {
        look: Mutex::new(()),
        change: Condvar::new(),
    };
    let lock = RwLock::with_sleeper(Number(UnsafeCell::new(0)), queue);
    assert_eq!(read(&lock), 0);
    // Looks at all of its words.
    assert!(format!("{lock:?}").contains("turn: 0"));
    Arc::new(lock)
}

fn read(lock: &Lock) -> usize {
    let number = lock.read();
    // SAFETY: see `Sync`.
    number.0.with(|number| unsafe { *number })
}

fn add_one(lock: &Lock) {
    let number = lock.write();
    // SAFETY: see `Sync`.
    number.0.with_mut(|number| unsafe { *number += 1 });
}

fn beside(lock: &Arc<Lock>, script: fn(&Lock)) -> JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || script(&lock))
}

fn explore(preemption_bound: Option<usize>, scripts: &'static [fn(&Lock)], writes: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemption_bound;
    builder.check(move || {
        let lock = lock();
        let (own, others) = scripts.split_first().unwrap();
        let others: Vec<_> = others.iter().map(|script| beside(&lock, *script)).collect();
        own(&lock);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(read(&lock), writes);
    });
}

fn read_once(lock: &Lock) {
    read(lock);
}

#[test]
fn two_writers_take_turns() {
    explore(None, &[add_one, add_one], 2);
}

#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    explore(None, &[read_once, add_one], 1);
}

/// The writer may wait for either reader, and the other reader behind the writer.
#[test]
fn rw_2_two_readers_and_a_writer_all_get_on() {
    explore(Some(3), &[read_once, read_once, add_one], 1);
}

#[test]
fn rw_2_a_reader_and_two_writers_all_get_on() {
    explore(Some(3), &[read_once, add_one, add_one], 2);
}

fn add_one_three_times(lock: &Lock) {
    (0..3).for_each(|_| add_one(lock));
}

fn read_three_times(lock: &Lock) {
    (0..3).for_each(|_| read_once(lock));
}

/// Three times are enough to overtake the other until he reserves the lock.
#[test]
fn rw_3_a_writer_and_one_who_overtakes_him_get_on() {
    explore(Some(4), &[add_one_three_times, add_one], 4);
    explore(Some(4), &[read_three_times, add_one], 1);
}

#[test]
fn rw_3_a_reader_and_a_writer_who_overtakes_him_get_on() {
    explore(Some(4), &[add_one_three_times, read_once], 3);
}

fn add_one_twice(lock: &Lock) {
    (0..2).for_each(|_| add_one(lock));
}

/// Numbers are taken by two.
#[test]
fn rw_3_two_who_are_overtaken_get_on() {
    explore(Some(2), &[add_one_twice, add_one, add_one], 4);
    explore(Some(2), &[add_one_twice, add_one, read_once], 3);
}
