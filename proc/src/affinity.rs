//! Which CPUs a thread may run on.

use abi::Errno;
use smp::cpu_set::CpuSet;
use smp::ipi::{self, Ipi};

use crate::thread::{Id, Thread};
use crate::{sched, table};

/// The thread named by `id`; 0 is the caller.
fn named(caller: &Thread, id: Id) -> Result<alloc::sync::Arc<Thread>, Errno> {
    table::find_thread(if id == 0 { caller.id() } else { id }).ok_or(Errno::ESRCH)
}

/// Lets the thread `id` (0: the caller) run on the CPUs of `wanted` that are up, and on no other.
///
/// If the thread is the caller, it runs on one of them when the call returns; another thread moves when it next enters
/// the kernel, at the latest at a timer tick.
///
/// # Errors
/// `ESRCH` if there is no such thread, `EINVAL` if none of the CPUs is up, `EPERM` for a thread of another process that
/// is not the caller's child.
pub fn set_affinity(caller: &Thread, id: Id, wanted: &CpuSet) -> Result<(), Errno> {
    let thread = named(caller, id)?;
    steer(caller, &thread, &wanted.intersection(&CpuSet::all()))?;
    if thread.id() == caller.id() {
        drop(thread);
        sched::leave_forbidden_cpu(caller);
    } else {
        thread.attention.ask_to_move();
        // WANT-2, as for a kill.
        ipi::send(Ipi::Reschedule, thread.cpu_racy());
    }
    Ok(())
}

fn steer(caller: &Thread, thread: &Thread, set: &CpuSet) -> Result<(), Errno> {
    let (Some(own), Some(other)) = (caller.process(), thread.process()) else {
        return Err(Errno::EPERM);
    };
    // Held to the end: the set is stored word by word, and must not mix with that of another caller.
    let parent = other.parent.lock();
    if own.id() != other.id() && parent.as_ref().is_none_or(|parent| parent.id() != own.id()) {
        return Err(Errno::EPERM);
    }
    if set.is_empty() {
        return Err(Errno::EINVAL);
    }
    thread.set_affinity(set);
    Ok(())
}

/// The CPUs that the thread `id` (0: the caller) may run on.
///
/// # Errors
/// `ESRCH` if there is no such thread.
pub fn get_affinity(caller: &Thread, id: Id) -> Result<CpuSet, Errno> {
    Ok(named(caller, id)?.affinity())
}
