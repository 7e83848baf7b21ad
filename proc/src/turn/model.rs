//! Loom models: `RUSTFLAGS="--cfg loom" cargo test -p proc --release turn`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::Word;
use crate::model_queue::{Queue, bounded};

struct Counter {
    word: Word,
    waiters: Queue,
    /// Read and written in two steps, with the turn.
    count: AtomicUsize,
}

impl Counter {
    fn add_one(&self) {
        if !self.word.try_take() {
            self.waiters
                .wait_until(|| self.word.take_or_want().then_some(()));
        }
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        if self.word.give_up_is_wanted() {
            self.waiters.wake_one();
        }
    }
}

/// Loom reports a deadlock if somebody sleeps for ever.
fn each_adds(threads: usize, times: usize) {
    bounded(move || {
        let counter = Arc::new(Counter {
            word: Word::new(),
            waiters: Queue::default(),
            count: AtomicUsize::new(0),
        });
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || (0..times).for_each(|_| counter.add_one()))
            })
            .collect();
        (0..times).for_each(|_| counter.add_one());
        others
            .into_iter()
            .for_each(|other| other.join().expect("the other thread"));
        assert_eq!(counter.count.load(Ordering::Relaxed), threads * times);
    });
}

#[test]
fn two_threads_take_turns_and_none_sleeps_for_ever() {
    each_adds(2, 2);
}

#[test]
fn three_threads_take_turns_and_none_sleeps_for_ever() {
    each_adds(3, 1);
}
