//! Waiting for children.

use alloc::sync::Arc;

use abi::{Errno, ExitStatus};

use crate::process::Process;
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

/// A child that has been waited for. Its id is free again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reaped {
    /// The id that it had.
    pub id: Id,
    /// How it ended.
    pub status: ExitStatus,
}

/// Waits until a child of `parent` has ended, and reaps it.
///
/// # Errors
/// `ECHILD` if there is no such child; `EINTR` if the caller is being killed.
pub fn wait_for_child(parent: &Process, which: Which) -> Result<Reaped, Errno> {
    parent
        .child_ended
        .wait_until(|| poll_child(parent, which).transpose())?
}

/// Reaps a child of `parent` if one has ended.
///
/// # Errors
/// `ECHILD` if there is no such child.
pub fn poll_child(parent: &Process, which: Which) -> Result<Option<Reaped>, Errno> {
    let wanted = match which {
        Which::Any => None,
        Which::Id(id) => Some(table::find_process(id).ok_or(Errno::ECHILD)?),
    };
    let mut family = parent.family.lock();
    let ended = match &wanted {
        None => family.zombies.pop_front(),
        Some(child) => family.zombies.remove(child),
    };
    let Some(child) = ended else {
        let waits = match &wanted {
            // `init` may get children at any time: orphans.
            None => !family.alive.is_empty() || exit::is_init(parent),
            Some(child) => family.alive.contains(child),
        };
        return if waits { Ok(None) } else { Err(Errno::ECHILD) };
    };
    drop(family);
    drop(wanted);
    Ok(Some(reap(child)))
}

fn reap(child: Arc<Process>) -> Reaped {
    let reaped = Reaped {
        id: child.id(),
        status: child.life.lock().status().unwrap_or(ExitStatus::exited(0)),
    };
    // The dead do not keep their parent.
    let parent = child.parent.lock().take();
    // EXIT-1: this one and the table's.
    exit::wait_for_references(&child, 2);
    drop(child);
    table::free(reaped.id);
    drop(parent);
    reaped
}
