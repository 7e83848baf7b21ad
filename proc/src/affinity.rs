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
    if !may_steer(caller, &thread) {
        return Err(Errno::EPERM);
    }
    let set = wanted.intersection(&CpuSet::all());
    if set.is_empty() {
        return Err(Errno::EINVAL);
    }
    thread.set_affinity(&set);
    if thread.id() == caller.id() {
        drop(thread);
        sched::leave_forbidden_cpu(caller);
    } else {
        thread.ask_to_move();
        ipi::send(Ipi::Reschedule, thread.cpu_racy());
    }
    Ok(())
}

fn may_steer(caller: &Thread, thread: &Thread) -> bool {
    let (Some(own), Some(other)) = (caller.process(), thread.process()) else { return false };
    own.id() == other.id() || other.parent_id() == own.id()
}

/// The CPUs that the thread `id` (0: the caller) may run on.
///
/// # Errors
/// `ESRCH` if there is no such thread.
pub fn get_affinity(caller: &Thread, id: Id) -> Result<CpuSet, Errno> {
    Ok(named(caller, id)?.affinity())
}
