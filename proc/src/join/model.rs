//! Loom models of joining threads: `RUSTFLAGS="--cfg loom" cargo test -p proc --release join::model`.

use abi::{Errno, ExitStatus};
use loom::thread;

use super::{poll_join, wait_for_end};
use crate::exit::{end_process, end_thread};
use crate::model_threads::{
    assert_nothing_is_left, assert_thread_is_gone, bounded, end, new_process, run,
    run_on_another_cpu, run_to_the_end,
};
use crate::thread::{Id, Thread};

const VALUE: usize = 7;

/// What `join_thread_wait` does.
fn join(caller: &Thread, id: Id) -> Result<usize, Errno> {
    let unjoined = wait_for_end(caller, id)?;
    let value = unjoined.value();
    unjoined.join(caller)?;
    Ok(value)
}

/// Joins the thread `id`, whose id and stack are free then, unless it is the first of its process.
fn join_it(caller: &Thread, id: Id) -> Result<usize, Errno> {
    let outcome = join(caller, id);
    if outcome.is_ok() {
        assert_thread_is_gone(id);
        assert_eq!(poll_join(caller, id), Err(Errno::ESRCH));
    }
    outcome
}

/// The thread with the number `ending` of two ends while the other one joins it.
fn one_joins_the_other(ending: usize) {
    bounded(4, move || {
        let mut threads = new_process::<2>(None);
        threads.rotate_left(ending);
        let [ending, joining] = threads;
        let id = ending.id();
        let other = run_on_another_cpu(ending, |ending| end_thread(ending, VALUE));
        assert_eq!(
            run_to_the_end(joining, |joining| join_it(joining, id)),
            Ok(VALUE)
        );
        other.join().expect("the other CPU");
        assert_nothing_is_left();
    });
}

#[test]
fn who_joins_a_thread_gets_its_value_whenever_that_ends() {
    one_joins_the_other(1);
}

/// Its entry in the table changes when it ends.
#[test]
fn who_joins_the_first_thread_gets_its_value_whenever_that_ends() {
    one_joins_the_other(0);
}

/// Two threads join a third one, which ends while they do or has ended before.
fn two_join_a_third(preemptions: usize, has_ended: bool) {
    bounded(preemptions, move || {
        let [first, second, third] = new_process(None);
        let id = third.id();
        let give_value = |third: &Thread| end_thread(third, VALUE);
        let ending = if has_ended {
            run_to_the_end(third, give_value);
            None
        } else {
            Some(run_on_another_cpu(third, give_value))
        };
        let joining = {
            let second = second.clone();
            thread::spawn(move || run(&second, |second| join(second, id)))
        };
        let outcome = run(&first, |first| join(first, id));
        match (outcome, joining.join().expect("the other CPU")) {
            (Ok(VALUE), Err(Errno::ESRCH)) | (Err(Errno::ESRCH), Ok(VALUE)) => {}
            outcomes => panic!("{outcomes:?}"),
        }
        if let Some(ending) = ending {
            ending.join().expect("another CPU");
        }
        end(first);
        end(second);
        assert_nothing_is_left();
    });
}

#[test]
fn of_two_that_join_a_thread_that_has_ended_one_gets_the_value() {
    two_join_a_third(6, true);
}

#[test]
fn of_two_that_join_a_thread_that_ends_one_gets_the_value() {
    two_join_a_third(1, false);
}

/// EXIT-3: whoever joins is told, and what ends is forgotten.
#[test]
fn who_joins_a_thread_while_the_process_ends_does_not_wait_for_ever() {
    bounded(1, || {
        let [first, second] = new_process(None);
        let id = second.id();
        let process = first.process().cloned().expect("a process");
        let killer = thread::spawn(move || end_process(&process, ExitStatus::exited(1)));
        let ending = run_on_another_cpu(second, |second| end_thread(second, VALUE));
        let outcome = run(&first, |first| join(first, id));
        assert!(outcome == Ok(VALUE) || first.is_dying(), "{outcome:?}");
        killer.join().expect("the killer");
        ending.join().expect("another CPU");
        end(first);
        assert_nothing_is_left();
    });
}
