//! The family tree, and who gets what when somebody in it ends. Threads in here have no stack and never run.

use core::time::Duration;
use std::sync::Arc;
use std::thread as host;

use abi::{Errno, ExitStatus, Signal};
use mm::aspace::SpaceRef;

use super::{bury, give_children, wait_for_references};
use crate::file::Descriptors;
use crate::name::Name;
use crate::process::Process;
use crate::signal::send;
use crate::table::{self, Entry};
use crate::thread::{Id, Thread};
use crate::wait_pid::{Ended, Which, poll_child};

/// A process with an entry in the table, as `fork` leaves it.
pub(crate) fn born(parent: Option<&Arc<Process>>) -> (Arc<Process>, Arc<Thread>) {
    table::init(table::usual_capacity(0)).unwrap();
    let reservation = table::reserve().unwrap();
    let id = reservation.id();
    let name = Name::new("test");
    let new = Process::new_kernel(
        id,
        name,
        SpaceRef::Base,
        Descriptors::new(),
        parent.cloned(),
    );
    let process = Arc::new(new);
    let thread = Thread::without_stack(id, process.clone());
    if let Some(parent) = parent {
        parent.family.lock().alive.push_back(process.clone());
    }
    assert!(process.life.lock().add(thread.clone()));
    reservation.publish(thread.clone());
    (process, thread)
}

/// Ends a process with `code`, as the CPU that switches away from it does.
pub(crate) fn end((process, thread): (Arc<Process>, Arc<Thread>), code: i32) -> Id {
    let id = process.id();
    super::end_process(&process, ExitStatus::exited(code));
    assert!(thread.is_dying());
    let unjoined = process.life.lock().leave(ExitStatus::exited(0));
    assert!(unjoined.is_some_and(|unjoined| unjoined.is_empty()));
    drop(process);
    bury(thread);
    id
}

fn reaped(id: Id, code: i32) -> Result<Option<Ended>, Errno> {
    Ok(Some(Ended {
        id,
        status: ExitStatus::exited(code),
    }))
}

#[test]
fn a_child_is_waited_for_once_after_it_has_ended() {
    let (parent, _thread) = born(None);
    let child = born(Some(&parent));
    assert_eq!(poll_child(&parent, Which::Any), Ok(None));
    let id = end(child, 7);
    assert!(matches!(table::find(id), Entry::Process(_)));
    assert_eq!(poll_child(&parent, Which::Id(id)), reaped(id, 7));
    assert!(matches!(table::find(id), Entry::Free));
    assert_eq!(poll_child(&parent, Which::Id(id)), Err(Errno::ECHILD));
    assert_eq!(poll_child(&parent, Which::Any), Err(Errno::ECHILD));
}

#[test]
fn children_are_reaped_in_the_order_in_which_they_ended_or_by_id() {
    let (parent, _thread) = born(None);
    let children = [(); 3].map(|()| born(Some(&parent)));
    let [first, second, third] = children;
    let ids = [end(second, 2), end(third, 3), end(first, 1)];
    assert_eq!(poll_child(&parent, Which::Id(ids[2])), reaped(ids[2], 1));
    assert_eq!(poll_child(&parent, Which::Any), reaped(ids[0], 2));
    assert_eq!(poll_child(&parent, Which::Any), reaped(ids[1], 3));
}

#[test]
fn nobody_waits_for_the_child_of_somebody_else_or_for_himself() {
    let (parent, _thread) = born(None);
    let (other, _other_thread) = born(None);
    let (child, _child_thread) = born(Some(&parent));
    for id in [child.id(), other.id()] {
        assert_eq!(poll_child(&other, Which::Id(id)), Err(Errno::ECHILD));
    }
}

#[test]
fn children_running_or_ended_go_to_init() {
    let (init, _init_thread) = born(None);
    let (parent, _thread) = born(Some(&init));
    let (running, running_thread) = born(Some(&parent));
    let ended = end(born(Some(&parent)), 5);
    give_children(&parent, &init);
    assert_eq!(running.parent_id(), init.id());
    assert_eq!(poll_child(&parent, Which::Any), Err(Errno::ECHILD));
    assert_eq!(poll_child(&init, Which::Any), reaped(ended, 5));
    let running = end((running, running_thread), 6);
    assert_eq!(poll_child(&init, Which::Any), reaped(running, 6));
}

#[test]
fn the_first_decision_how_to_end_stays() {
    let (parent, _thread) = born(None);
    let (child, thread) = born(Some(&parent));
    super::end_process(&child, ExitStatus::killed(Signal::SIGKILL));
    let id = end((child, thread), 0);
    let status = poll_child(&parent, Which::Any).unwrap().unwrap().status;
    assert_eq!(
        (status, id > 0),
        (ExitStatus::killed(Signal::SIGKILL), true)
    );
}

#[test]
fn a_process_without_a_parent_gives_its_id_back_when_it_ends() {
    let (process, thread) = born(None);
    let gone = Arc::downgrade(&process);
    end((process, thread), 0);
    assert!(gone.upgrade().is_none());
}

/// EXIT-1: somebody has just switched away from the thread, or tries to wake it.
#[test]
fn a_zombie_is_published_when_nobody_has_its_thread_any_more() {
    let (parent, _thread) = born(None);
    let (child, thread) = born(Some(&parent));
    let (gone, late) = (Arc::downgrade(&thread), thread.clone());
    let waker = host::spawn(move || {
        host::sleep(Duration::from_millis(50));
        drop(late);
    });
    let id = end((child, thread), 0);
    assert!(gone.upgrade().is_none());
    assert_eq!(poll_child(&parent, Which::Any), reaped(id, 0));
    waker.join().unwrap();
}

/// EXIT-1: somebody looks at the process just then.
#[test]
fn a_child_that_has_been_waited_for_is_gone() {
    let (parent, _thread) = born(None);
    let (child, thread) = born(Some(&parent));
    let (gone, late) = (Arc::downgrade(&child), child.clone());
    let looker = host::spawn(move || {
        host::sleep(Duration::from_millis(50));
        drop(late);
    });
    let id = end((child, thread), 0);
    assert_eq!(poll_child(&parent, Which::Id(id)), reaped(id, 0));
    assert!(gone.upgrade().is_none());
    looker.join().unwrap();
}

#[test]
fn references_that_are_known_are_not_waited_for() {
    let two = [Arc::new(()), Arc::new(())].map(|object| (object.clone(), object));
    two.iter()
        .for_each(|(object, _)| wait_for_references(object, 2));
}

#[test]
fn who_has_ended_or_never_was_cannot_be_killed_and_the_kernel_must_not_be() {
    let (parent, _thread) = born(None);
    assert!(parent.is_kernel());
    let ended = end(born(Some(&parent)), 0);
    for id in [ended, 0, -1, Id::MAX] {
        assert_eq!(send::kill(id, Signal::SIGKILL), Err(Errno::ESRCH));
        assert_eq!(send::check(id), Err(Errno::ESRCH));
    }
    for signal in [Signal::SIGKILL, Signal::SIGCHLD] {
        assert_eq!(send::kill(parent.id(), signal), Err(Errno::EPERM));
    }
    assert_eq!(send::check(parent.id()), Err(Errno::EPERM));
}
