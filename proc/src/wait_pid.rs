//! Waiting for children.

use alloc::sync::{Arc, Weak};
use core::ptr;

use abi::{Errno, ExitStatus};

use crate::process::{Family, Process};
use crate::thread::Id;
use crate::{exit, table};

/// Which child to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The first that ends.
    Any,
    /// This one.
    Id(Id),
}

/// A child that has ended. Once it has been reaped, its id is free again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its id.
    pub id: Id,
    /// How it ended.
    pub status: ExitStatus,
}

/// Waits until a child of `parent` has ended, and reaps it.
///
/// # Errors
/// Those of [`wait_for_end`].
pub fn wait_for_child(parent: &Process, which: Which) -> Result<Ended, Errno> {
    parent
        .child_ended
        .wait_until(|| poll_child(parent, which).transpose())?
}

/// Reaps a child of `parent` if one has ended.
///
/// # Errors
/// Those of [`poll_end`].
pub fn poll_child(parent: &Process, which: Which) -> Result<Option<Ended>, Errno> {
    let wanted = find(which)?;
    let mut family = parent.family.lock();
    let ended = match &wanted {
        None => family.zombies.pop_front(),
        Some(child) => family.zombies.remove(child),
    };
    let Some(child) = ended else {
        return expect_child(parent, &family, wanted.as_deref()).map(|()| None);
    };
    drop(family);
    drop(wanted);
    Ok(Some(reap(child)))
}

/// A child that has ended and is still there, unless another thread of its parent reaps it. This does not keep it, and
/// is never another child that has got its id.
pub struct Unreaped {
    ended: Ended,
    child: Weak<Process>,
}

impl Unreaped {
    /// How it ended.
    pub fn status(&self) -> ExitStatus {
        self.ended.status
    }

    /// Reaps it; none if another thread of `parent` has done that.
    pub fn reap(self, parent: &Process) -> Option<Ended> {
        // EXIT-1: without a reference, for which who reaps the child might have stopped waiting. As long as there is
        // the weak one no other process has this address.
        let is_it = |zombie: &Process| ptr::eq(zombie, self.child.as_ptr());
        let mut family = parent.family.lock();
        let zombie = family.zombies.pop_first_where(is_it)?;
        drop(family);
        Some(reap(zombie))
    }
}

/// Waits until a child of `parent` has ended.
///
/// # Errors
/// `ECHILD` if there is no such child; `EINTR`.
pub fn wait_for_end(parent: &Process, which: Which) -> Result<Unreaped, Errno> {
    parent
        .child_ended
        .wait_until(|| poll_end(parent, which).transpose())?
}

/// As [`wait_for_end`], at once: none if no such child has ended.
///
/// # Errors
/// `ECHILD` if there is no such child.
pub fn poll_end(parent: &Process, which: Which) -> Result<Option<Unreaped>, Errno> {
    let wanted = find(which)?;
    let family = parent.family.lock();
    let ended = match &wanted {
        None => family.zombies.front_arc(),
        Some(child) => family.zombies.contains(child).then(|| child.clone()),
    };
    let Some(child) = ended else {
        return expect_child(parent, &family, wanted.as_deref()).map(|()| None);
    };
    drop(family);
    Ok(Some(Unreaped {
        ended: end_of(&child),
        child: Arc::downgrade(&child),
    }))
}

/// The process, if a certain one is wanted.
///
/// # Errors
/// `ECHILD` if there is none of that id.
fn find(which: Which) -> Result<Option<Arc<Process>>, Errno> {
    match which {
        Which::Any => Ok(None),
        Which::Id(id) => table::find_process(id).ok_or(Errno::ECHILD).map(Some),
    }
}

/// Tells a child that has not ended from one that is not there.
///
/// # Errors
/// `ECHILD` for the latter.
fn expect_child(parent: &Process, family: &Family, wanted: Option<&Process>) -> Result<(), Errno> {
    let is_there = match wanted {
        // `init` may get children at any time: orphans.
        None => !family.alive.is_empty() || exit::is_init(parent),
        Some(child) => family.alive.contains(child),
    };
    is_there.then_some(()).ok_or(Errno::ECHILD)
}

fn end_of(child: &Process) -> Ended {
    Ended {
        id: child.id(),
        status: child.life.lock().status().unwrap_or(ExitStatus::exited(0)),
    }
}

fn reap(child: Arc<Process>) -> Ended {
    let ended = end_of(&child);
    // The dead do not keep their parent.
    let parent = child.parent.lock().take();
    // EXIT-1: from here on nobody finds it any more.
    table::free(ended.id);
    exit::wait_for_references(&child, 1);
    drop(child);
    drop(parent);
    ended
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use abi::ExitStatus;
    use mm::aspace::SpaceRef;

    use super::{Which, poll_child, poll_end};
    use crate::exit::tests::{born, end};
    use crate::file::Descriptors;
    use crate::name::Name;
    use crate::process::Process;

    #[test]
    fn who_was_reaped_in_between_is_not_taken_for_another_with_its_id() {
        let (parent, _thread) = born(None);
        let id = end(born(Some(&parent)), 3);
        let unreaped = poll_end(&parent, Which::Any).unwrap().unwrap();
        assert_eq!(unreaped.status(), ExitStatus::exited(3));
        assert!(poll_child(&parent, Which::Id(id)).unwrap().is_some());
        let (space, descriptors) = (SpaceRef::Base, Descriptors::new());
        let name = Name::new("newer");
        let newer = Process::new_kernel(id, name, space, descriptors, Some(parent.clone()));
        parent.family.lock().zombies.push_back(Arc::new(newer));
        assert_eq!(unreaped.reap(&parent), None);
        assert!(parent.family.lock().zombies.pop_front().is_some());
    }
}
