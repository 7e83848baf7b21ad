//! Loom models of signals for a process: `RUSTFLAGS="--cfg loom" cargo test -p proc --release signal::send::model`.

use abi::Signal;
use abi::layout::PROGRAM_BASE;

use super::kill;
use crate::model_threads::{
    assert_nothing_is_left, bounded, new_process, run_on_another_cpu, run_to_the_end,
};
use crate::signal::set_handler;
use crate::thread::Thread;
use crate::wait::Interrupted;
fn handle(thread: &Thread, signal: Signal) {
    let process = thread.process().expect("a thread of a process");
    set_handler(process, signal, PROGRAM_BASE).expect("a handler");
}

#[test]
fn a_signal_goes_to_another_thread_if_the_first_ends() {
    bounded(5, || {
        let [first, second] = new_process(None);
        handle(&first, Signal::SIGUSR1);
        let id = first.id();
        let other = run_on_another_cpu(first, |_| ());
        assert_eq!(kill(id, Signal::SIGUSR1), Ok(()));
        other.join().expect("the other CPU");
        run_to_the_end(second, |second| {
            assert_eq!(second.attention.begin_signal(), Some(Signal::SIGUSR1));
        });
        assert_nothing_is_left();
    });
}

#[test]
fn a_signal_ends_the_sleep_of_a_thread_whenever_it_comes() {
    bounded(4, || {
        let [thread] = new_process(None);
        handle(&thread, Signal::SIGUSR1);
        let id = thread.id();
        let other = run_on_another_cpu(thread, |thread| {
            let process = thread.process().expect("a thread of a process");
            let wait = process.child_ended.wait_until(|| None::<()>);
            assert_eq!(wait, Err(Interrupted));
            assert_eq!(thread.attention.begin_signal(), Some(Signal::SIGUSR1));
        });
        assert_eq!(kill(id, Signal::SIGUSR1), Ok(()));
        other.join().expect("the other CPU");
        assert_nothing_is_left();
    });
}
