//! Loom models of the signals that one thread is to take: `RUSTFLAGS="--cfg loom" cargo test -p proc --release --test
//! 'loom_*'`.
//!
//! The thread itself is played by the main thread of the model.
#![cfg(loom)]

use std::sync::Arc;

use abi::Signal;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
use proc::attention::{Attention, Refused};

const SIGNALS: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// Posts `signal` from another CPU.
fn send(attention: &Arc<Attention>, signal: Signal) -> JoinHandle<Result<(), Refused>> {
    let attention = attention.clone();
    thread::spawn(move || attention.post(signal))
}

/// What the thread takes on one return to user mode; the handler returns at once.
fn take(attention: &Attention) -> Option<Signal> {
    let signal = attention.begin_signal()?;
    assert!(attention.is_in_handler());
    attention.leave_handler();
    Some(signal)
}

/// WANT-3.
#[test]
fn a_signal_is_taken_once_or_refused() {
    loom::model(|| {
        let attention = Arc::new(Attention::new());
        let senders = SIGNALS.map(|signal| send(&attention, signal));
        let mut taken: Vec<_> = [(); 2].iter().filter_map(|()| take(&attention)).collect();
        let outcomes = senders.map(|sender| sender.join().unwrap());
        taken.extend(std::iter::from_fn(|| take(&attention)));
        taken.sort_unstable_by_key(|signal| signal.number());
        let accepted = SIGNALS.into_iter().zip(outcomes);
        let accepted = accepted.filter(|(_, outcome)| outcome.is_ok());
        assert!(taken.into_iter().eq(accepted.map(|(signal, _)| signal)));
        assert!(!attention.is_wanted());
    });
}

/// WANT-3: a thread in a handler refuses until it has left that, and a signal for later waits as long.
#[test]
fn in_a_handler_no_signal_is_taken_whenever_it_comes() {
    loom::model(|| {
        let attention = Arc::new(Attention::new());
        assert_eq!(attention.begin_fault(), Ok(()));
        let sender = send(&attention, Signal::SIGUSR1);
        let later = attention.clone();
        let other = thread::spawn(move || later.post_for_later(Signal::SIGCHLD));
        assert_eq!(attention.begin_signal(), None);
        attention.leave_handler();
        let accepted = usize::from(sender.join().unwrap().is_ok());
        assert_eq!(other.join().unwrap(), Ok(()));
        let taken = std::iter::from_fn(|| take(&attention));
        assert_eq!(taken.count(), accepted + 1);
    });
}

/// WANT-3, for a thread that ends: what it has accepted and not taken, somebody else can have.
#[test]
fn a_thread_that_ends_has_taken_a_signal_or_gives_it_back_or_refuses_it() {
    loom::model(|| {
        let attention = Arc::new(Attention::new());
        let senders = SIGNALS.map(|signal| send(&attention, signal));
        let mut signals = Vec::from_iter(take(&attention));
        attention.set_dying();
        signals.extend(std::iter::from_fn(|| attention.take_back_signal()));
        let outcomes = senders.map(|sender| sender.join().unwrap());
        signals.sort_unstable_by_key(|signal| signal.number());
        let accepted = SIGNALS.into_iter().zip(outcomes);
        let accepted = accepted.filter(|(_, outcome)| outcome.is_ok());
        assert!(signals.into_iter().eq(accepted.map(|(signal, _)| signal)));
        assert_eq!(attention.take_back_signal(), None, "accepted too late");
    });
}

/// Also if it was for another thread first, which gave it back.
#[test]
fn the_handler_sees_what_was_written_before_the_signal_was_sent() {
    loom::model(|| {
        let (first, second) = (Arc::new(Attention::new()), Arc::new(Attention::new()));
        let written = Arc::new(AtomicUsize::new(0));
        let sender = {
            let (first, written) = (first.clone(), written.clone());
            thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                assert_eq!(first.post(Signal::SIGUSR1), Ok(()));
            })
        };
        let ending = {
            let second = second.clone();
            thread::spawn(move || {
                if let Some(signal) = first.take_back_signal() {
                    assert_eq!(second.post(signal), Ok(()));
                }
            })
        };
        if second.begin_signal().is_some() {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        sender.join().unwrap();
        ending.join().unwrap();
    });
}
