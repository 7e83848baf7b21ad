//! Loom models of how processes end: `RUSTFLAGS="--cfg loom" cargo test -p proc --release exit::model`.

use alloc::sync::Arc;

use abi::{Errno, ExitStatus};
use loom::thread;

use super::{end_process, end_thread, give_children};
use crate::model_threads::{
    assert_nothing_is_left, assert_process_is_gone, assert_thread_is_gone, bounded, new_process,
    new_thread, reserve, run_on_another_cpu, run_to_the_end,
};
use crate::process::Process;
use crate::thread::Thread;
use crate::wait::Interrupted;
use crate::wait_pid::{Ended, Which, poll_child, wait_for_child};

fn process(thread: &Thread) -> &Arc<Process> {
    thread.process().expect("a thread of a process")
}

fn exit(thread: &Thread, code: i32) {
    end_process(process(thread), ExitStatus::exited(code));
}

fn sleep_until_told_to_end(thread: &Thread) {
    let wait = process(thread).child_ended.wait_until(|| None::<()>);
    assert_eq!(wait, Err(Interrupted));
}

/// The code with which a child has ended, of which nothing is left.
fn code(reaped: Ended) -> i32 {
    assert_process_is_gone(reaped.id);
    let codes = [1, 2, 3].map(|code| (code, ExitStatus::exited(code)));
    let found = codes.iter().find(|(_, status)| *status == reaped.status);
    found.expect("a code that was given").0
}

/// EXIT-1, EXIT-4: however two threads of a process end, their parent finds one zombie, with all else given back.
fn two_threads_end(preemptions: usize, end: fn(&Thread, i32)) {
    bounded(preemptions, move || {
        let [parent] = new_process(None);
        let [first, second] = new_process(Some(&parent));
        let other = run_on_another_cpu(second, move |second| end(second, 2));
        run_to_the_end(first, |first| end(first, 1));
        other.join().expect("the other CPU");
        run_to_the_end(parent, |parent| {
            let reaped = poll_child(process(parent), Which::Any).expect("a child");
            assert!([1, 2].contains(&code(reaped.expect("a zombie"))));
            let again = poll_child(process(parent), Which::Any);
            assert_eq!(again, Err(Errno::ECHILD));
        });
        assert_nothing_is_left();
    });
}

#[test]
fn of_two_threads_that_call_exit_the_first_decides_and_the_last_burial_publishes() {
    two_threads_end(4, exit);
}

/// The last one to leave forgets the other if that can be joined by then, and who buries that does it otherwise.
#[test]
fn of_two_threads_that_end_alone_none_is_left() {
    two_threads_end(5, |thread, code| end_thread(thread, code as usize));
}

/// EXIT-1, EXIT-4.
#[test]
fn a_parent_that_waits_finds_one_zombie_when_all_has_been_given_back() {
    bounded(2, || {
        let [parent] = new_process(None);
        let children: [_; 2] = new_process(Some(&parent));
        let ids = children.each_ref().map(|thread| thread.id());
        let others = children.map(|thread| run_on_another_cpu(thread, |thread| exit(thread, 3)));
        run_to_the_end(parent, |parent| {
            let reaped = wait_for_child(process(parent), Which::Id(ids[0])).expect("a child");
            assert_eq!(code(reaped), 3);
            ids.into_iter().for_each(assert_thread_is_gone);
        });
        for other in others {
            other.join().expect("another CPU");
        }
        assert_nothing_is_left();
    });
}

/// EXIT-3, for a thread that sleeps.
#[test]
fn a_thread_that_sleeps_ends_with_its_process() {
    bounded(4, || {
        let [first, second] = new_process(None);
        let other = run_on_another_cpu(second, sleep_until_told_to_end);
        run_to_the_end(first, |first| exit(first, 1));
        other.join().expect("the other CPU");
        assert_nothing_is_left();
    });
}

/// EXIT-3, for a thread that is being created.
#[test]
fn a_thread_that_is_created_while_its_process_ends_is_told_or_refused() {
    bounded(3, || {
        let [first] = new_process(None);
        let process = process(&first).clone();
        let killer = thread::spawn(move || end_process(&process, ExitStatus::exited(2)));
        let mut created = None;
        run_to_the_end(first, |first| {
            created = new_thread(reserve(), self::process(first)).ok();
        });
        if let Some(created) = created {
            run_to_the_end(created, sleep_until_told_to_end);
        }
        killer.join().expect("the killer");
        assert_nothing_is_left();
    });
}

/// EXIT-2.
#[test]
fn a_child_that_ends_while_its_parent_does_becomes_a_zombie_of_init() {
    loom::model(|| {
        let [init] = new_process(None);
        let [parent] = new_process(Some(&init));
        let [child] = new_process(Some(&parent));
        let id = child.id();
        let other = run_on_another_cpu(child, |child| exit(child, 3));
        run_to_the_end(parent, |parent| {
            give_children(process(parent), process(&init));
            end_thread(parent, 1);
        });
        other.join().expect("the other CPU");
        run_to_the_end(init, |init| {
            let reaped = poll_child(process(init), Which::Id(id)).expect("a child");
            assert_eq!(code(reaped.expect("a zombie")), 3);
            let reaped = poll_child(process(init), Which::Any).expect("another child");
            assert_eq!(code(reaped.expect("another zombie")), 1);
        });
        assert_nothing_is_left();
    });
}
