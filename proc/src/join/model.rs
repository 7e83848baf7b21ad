//! Loom models of joining threads: `RUSTFLAGS="--cfg loom" cargo test -p proc --release join::model`.

use abi::{Errno, ExitStatus};
use loom::thread;

use super::{poll_join, wait_for_end};
use crate::exit::{end_process, end_thread};
use crate::model_threads::{
    assert_nothing_is_left, bounded, new_process, run_on_another_cpu, run_to_the_end,
};
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};

const VALUE: usize = 7;

/// Joins the thread `id`, whose id and stack are free then, unless it is the first of its process.
fn join_it(caller: &Thread, id: Id) -> Result<usize, Errno> {
    let value = wait_for_end(caller, id)?;
    let joined = poll_join(caller, id)?;
    assert_eq!(joined, Some(value));
    assert!(!matches!(table::find(id), Entry::Thread(_)));
    assert_eq!(poll_join(caller, id), Err(Errno::ESRCH));
    Ok(value)
}

/// The thread with the number `ending` of two ends while the other one joins it.
fn one_joins_the_other(ending: usize) {
    bounded(3, move || {
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
        let end = |third: &Thread| end_thread(third, VALUE);
        let ending = if has_ended {
            run_to_the_end(third, end);
            None
        } else {
            Some(run_on_another_cpu(third, end))
        };
        let other = run_on_another_cpu(second, move |second| join_it(second, id));
        let outcomes = [
            run_to_the_end(first, |first| join_it(first, id)),
            other.join().expect("the other CPU"),
        ];
        if let Some(ending) = ending {
            ending.join().expect("another CPU");
        }
        let values = outcomes
            .iter()
            .filter(|&&outcome| outcome == Ok(VALUE))
            .count();
        let refused = outcomes
            .iter()
            .filter(|&&outcome| outcome == Err(Errno::ESRCH))
            .count();
        assert_eq!((values, refused), (1, 1), "{outcomes:?}");
        assert_nothing_is_left();
    });
}

#[test]
fn of_two_that_join_a_thread_that_has_ended_one_gets_the_value() {
    two_join_a_third(3, true);
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
        let other = run_on_another_cpu(second, |second| end_thread(second, VALUE));
        run_to_the_end(first, move |first| {
            let outcome = join_it(first, id);
            assert!(outcome == Ok(VALUE) || first.is_dying(), "{outcome:?}");
        });
        killer.join().expect("the killer");
        other.join().expect("the other CPU");
        assert_nothing_is_left();
    });
}
