//! The last steps of `fork` and `spawn`: from here on the new process is visible and runs.

use alloc::sync::Arc;

use abi::Errno;
use smp::cpu_set::CpuSet;
use smp::fiber::FpuState;

use crate::process::Process;
use crate::sched;
use crate::table::Reservation;
use crate::thread::{Id, Start, Thread};

/// Gives `process` its first thread, puts it into the table and the family tree, and lets it run.
///
/// # Errors
/// `ENOMEM` if there is none for the thread; then nothing is visible.
pub(crate) fn give_life(
    reservation: Reservation,
    process: Arc<Process>,
    start: Start,
    fpu: Option<FpuState>,
    affinity: &CpuSet,
) -> Result<Id, Errno> {
    let id = reservation.id();
    let thread = Thread::new(id, process.clone(), start, fpu, affinity)?;
    // Nothing fails from here on.
    process.any_space().add_thread();
    // The family comes first: a process that ends finds its place there.
    let parent = process.parent.lock().clone();
    if let Some(parent) = parent {
        parent.family.lock().alive.push_back(process);
    }
    reservation.publish(thread.clone());
    sched::start(thread);
    Ok(id)
}
