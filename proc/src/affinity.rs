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

#[cfg(all(test, not(loom)))]
mod tests {
    use abi::Errno;
    use smp::cpu::CpuId;
    use smp::cpu_set::CpuSet;

    use super::{get_affinity, set_affinity};
    use crate::exit::tests::born;

    #[test]
    fn a_process_steers_itself_and_its_children_and_nobody_else() {
        let (parent, parent_thread) = born(None);
        let (child, child_thread) = born(Some(&parent));
        let (stranger, stranger_thread) = born(None);
        let everywhere = CpuSet::first(1);
        for id in [0, parent.id(), child.id()] {
            assert_eq!(set_affinity(&parent_thread, id, &everywhere), Ok(()));
        }
        assert!(child_thread.needs_attention() && !parent_thread.needs_attention());
        for (caller, id) in [(&stranger_thread, child.id()), (&child_thread, parent.id())] {
            assert_eq!(set_affinity(caller, id, &everywhere), Err(Errno::EPERM));
        }
        assert_eq!(get_affinity(&child_thread, stranger.id()), Ok(everywhere));
        assert_eq!(get_affinity(&child_thread, -5), Err(Errno::ESRCH));
    }

    #[test]
    fn of_the_cpus_that_are_asked_for_one_must_be_up() {
        let (_process, thread) = born(None);
        let absent = CpuSet::single(CpuId::new(77));
        assert_eq!(set_affinity(&thread, 0, &absent), Err(Errno::EINVAL));
        assert_eq!(set_affinity(&thread, 0, &CpuSet::new()), Err(Errno::EINVAL));
        let both: CpuSet = [CpuId::BOOT, CpuId::new(77)].into_iter().collect();
        assert_eq!(set_affinity(&thread, 0, &both), Ok(()));
        assert_eq!(get_affinity(&thread, 0), Ok(CpuSet::single(CpuId::BOOT)));
    }
}
