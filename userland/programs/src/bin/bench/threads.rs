//! Rows about threads and signals.

use ulib::{Signal, process, signal, thread};

use crate::Setting;
use crate::measure::best;

/// Starts a thread that ends at once, and joins it.
pub(crate) fn create_and_join(name: &str, setting: Setting, _: usize) {
    best(name, 400 / setting.scale + 1, create_and_join_once);
}

pub(crate) fn create_and_join_once() {
    match thread::spawn(|| ()) {
        Ok(thread) => assert_eq!(thread.join(), Some(())),
        Err(errno) => panic!("cannot create a thread: {errno}"),
    }
}

/// Sends itself a signal whose handler does nothing.
pub(crate) fn signal_self(name: &str, setting: Setting, _: usize) {
    extern "C" fn do_nothing(_: i32, _: usize, _: usize) {}
    let own = process::getpid();
    let handle = |handler| {
        if let Err(errno) = signal::handle(Signal::SIGUSR1, handler) {
            panic!("cannot set a handler: {errno}");
        }
    };
    handle(Some(do_nothing));
    best(name, 3000 / setting.scale, || {
        if let Err(errno) = process::kill(own, Signal::SIGUSR1) {
            panic!("cannot send a signal: {errno}");
        }
    });
    handle(None);
}
