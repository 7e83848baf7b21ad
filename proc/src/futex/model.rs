//! Loom models of futexes: `RUSTFLAGS="--cfg loom" cargo test -p proc --release futex::model`.
//!
//! A word of user memory is an atomic here whose accesses order nothing.

use alloc::sync::Arc;

use abi::{Errno, Signal};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, JoinHandle};
use smp::lock::SpinLock;
use smp::rank;

use super::{Ended, Seen, Waiters};
use crate::model_threads::{assert_nothing_is_left, bounded, end, new_process, run};
use crate::thread::Thread;
use crate::wait::{WaitQueue, Waiter};

/// A word in memory that is 0 at first, and those that wait for it.
struct Word {
    value: AtomicU32,
    waiters: Waiters,
    /// Whether the page is missing in which it lies: not 0 then.
    is_missing: AtomicU32,
    arrived: WaitQueue,
}

/// Two words whose names fall together.
const KEY: [u64; 2] = [1, 0];
const OTHER_KEY: [u64; 2] = [0, 1];

impl Word {
    fn new() -> Arc<Word> {
        let word = Word {
            value: AtomicU32::new(0),
            waiters: Waiters::new(),
            is_missing: AtomicU32::new(0),
            arrived: WaitQueue::new(),
        };
        // Loom wants its atomics made before they are shared.
        assert_eq!(word.waiters.wake(KEY, 1), 0);
        word.arrived.wake_all();
        Arc::new(word)
    }

    /// As the kernel does it; the page may be missing at first.
    fn look(&self) -> Result<Seen, Errno> {
        let is_there = || (self.is_missing.load(Ordering::Relaxed) == 0).then_some(());
        self.arrived.wait_uninterrupted(is_there);
        Ok(match self.value.load(Ordering::Relaxed) {
            0 => Seen::Value,
            _ => Seen::Other,
        })
    }

    fn set(&self) {
        self.value.store(1, Ordering::Relaxed);
    }

    fn arrive(&self) {
        self.is_missing.store(0, Ordering::Relaxed);
        self.arrived.wake_all();
    }

    /// Waits for the word, whose name does not change.
    fn wait(&self, key: [u64; 2]) -> Result<(), Errno> {
        let ended = self.waiters.wait(key, || self.look())?;
        assert_eq!(ended, Ended::Woken);
        Ok(())
    }

    /// Lets `thread` wait for the word, on another CPU.
    fn start_waiting(self: &Arc<Word>, thread: &Arc<Thread>) -> JoinHandle<Result<(), Errno>> {
        let (word, thread) = (self.clone(), thread.clone());
        thread::spawn(move || run(&thread, |_| word.wait(KEY)))
    }
}

/// What the one that waits returns if it has been woken so many times.
fn expected(woken: usize, otherwise: Errno) -> Result<(), Errno> {
    match woken {
        0 => Err(otherwise),
        1 => Ok(()),
        _ => panic!("FUTEX-2: woken twice"),
    }
}

/// FUTEX-1.
#[test]
fn who_has_seen_the_old_value_is_woken() {
    bounded(5, || {
        let [thread] = new_process(None);
        let word = Word::new();
        let waiter = word.start_waiting(&thread);
        word.set();
        let woken = word.waiters.wake(KEY, 1);
        let outcome = waiter.join().expect("the waiter");
        assert_eq!(
            outcome,
            if woken == 1 {
                Ok(())
            } else {
                Err(Errno::EAGAIN)
            }
        );
        end(thread);
        assert_nothing_is_left();
    });
}

/// FUTEX-2.
#[test]
fn as_many_are_woken_as_are_counted() {
    bounded(1, || {
        let threads: [_; 2] = new_process(None);
        let word = Word::new();
        let waiters = threads.each_ref().map(|thread| word.start_waiting(thread));
        let woken = word.waiters.wake(KEY, 1);
        word.set();
        let all = woken + word.waiters.wake(KEY, 2);
        let outcomes = waiters.map(|waiter| waiter.join().expect("a waiter"));
        let returned = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(woken <= 1 && returned == all, "{outcomes:?}");
        threads.into_iter().for_each(end);
        assert_nothing_is_left();
    });
}

/// FUTEX-2, for one that is interrupted.
#[test]
fn a_signal_ends_a_wait_that_no_wake_up_has_ended() {
    bounded(3, || {
        let [thread] = new_process(None);
        let interrupted = thread.clone();
        let word = Word::new();
        let waiter = word.start_waiting(&thread);
        let sender = thread::spawn(move || {
            assert_eq!(interrupted.attention.post(Signal::SIGUSR1), Ok(()));
            Thread::unpark(interrupted);
        });
        let woken = word.waiters.wake(KEY, 1);
        let outcome = waiter.join().expect("the waiter");
        sender.join().expect("the sender");
        assert_eq!(
            outcome,
            if woken == 1 {
                Ok(())
            } else {
                Err(Errno::EINTR)
            }
        );
        end(thread);
        assert_nothing_is_left();
    });
}

#[test]
fn who_waits_for_another_word_is_not_woken() {
    bounded(4, || {
        let [thread] = new_process(None);
        let word = Word::new();
        let waiter = word.start_waiting(&thread);
        assert_eq!(word.waiters.wake(OTHER_KEY, 1), 0);
        word.set();
        word.waiters.wake(KEY, 1);
        let _ = waiter.join().expect("the waiter");
        end(thread);
        assert_nothing_is_left();
    });
}

/// Reading the word takes a page fault, say. A wake-up in between ends that sleep too early, and is no less counted.
#[test]
fn who_sleeps_while_it_reads_the_word_is_woken_all_the_same() {
    bounded(3, || {
        let [thread] = new_process(None);
        let word = Word::new();
        word.is_missing.store(1, Ordering::Relaxed);
        let waiter = word.start_waiting(&thread);
        let mut woken = word.waiters.wake(KEY, 1);
        word.arrive();
        word.set();
        woken += word.waiters.wake(KEY, 1);
        let outcome = waiter.join().expect("the waiter");
        assert_eq!(outcome, expected(woken, Errno::EAGAIN));
        end(thread);
        assert_nothing_is_left();
    });
}

/// A word whose name changes, behind the lock of a space.
struct Renamed {
    word: Arc<Word>,
    key: SpinLock<[u64; 2], rank::File>,
}

impl Renamed {
    fn key(&self) -> [u64; 2] {
        *self.key.lock()
    }

    /// As [`super::wait`].
    fn wait(&self) -> Result<(), Errno> {
        loop {
            let key = self.key();
            let look = || match self.key() == key {
                true => self.word.look(),
                false => Ok(Seen::Renamed),
            };
            if self.word.waiters.wait(key, look)? == Ended::Woken {
                return Ok(());
            }
        }
    }

    fn rename(&self) {
        *self.key.lock() = OTHER_KEY;
        self.word.waiters.restart(|key| key == KEY);
    }
}

/// FUTEX-3.
#[test]
fn who_waits_by_the_old_name_is_not_left_asleep() {
    bounded(3, || {
        let [thread] = new_process(None);
        let renamed = Arc::new(Renamed {
            word: Word::new(),
            key: SpinLock::new(KEY),
        });
        // As in `Word::new`.
        assert_eq!(renamed.key(), KEY);
        let waiter = {
            let (renamed, thread) = (renamed.clone(), thread.clone());
            thread::spawn(move || run(&thread, |_| renamed.wait()))
        };
        renamed.rename();
        renamed.word.set();
        let woken = renamed.word.waiters.wake(renamed.key(), 1);
        let outcome = waiter.join().expect("the waiter");
        assert_eq!(outcome, expected(woken, Errno::EAGAIN));
        end(thread);
        assert_nothing_is_left();
    });
}
