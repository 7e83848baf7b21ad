//! The last steps of `fork`, `spawn` and `create_thread`: from here on the new thread is visible and runs.

use alloc::sync::Arc;

use abi::Errno;
use mm::NoMemory;

use crate::process::Process;
use crate::table::Reservation;
use crate::thread::{Beginning, Id, Thread};
use crate::{sched, signal};

/// Gives `process` its first thread, puts it into the table and the family tree, and lets it run.
///
/// # Errors
/// `ENOMEM` if there is none for the thread; then nothing is visible.
pub(crate) fn give_life(
    reservation: Reservation,
    process: Arc<Process>,
    beginning: Beginning<'_>,
) -> Result<Id, Errno> {
    let thread = new_thread(&reservation, &process, beginning)?;
    // The family comes first: a process that ends finds its place there.
    let parent = process.parent.lock().clone();
    if let Some(parent) = parent {
        parent.family.lock().alive.push_back(process.clone());
    }
    // Nobody knows the process, so nobody has ended it.
    start(reservation, &process, thread)
}

/// Gives `process`, which runs, another thread.
///
/// # Errors
/// `ENOMEM`; `EAGAIN` if the process is about to end. Then nothing is visible.
pub(crate) fn add_thread(
    reservation: Reservation,
    process: &Arc<Process>,
    beginning: Beginning<'_>,
) -> Result<Id, Errno> {
    let thread = new_thread(&reservation, process, beginning)?;
    start(reservation, process, thread)
}

/// A thread that can take signals as soon as others can find it.
fn new_thread(
    reservation: &Reservation,
    process: &Arc<Process>,
    beginning: Beginning<'_>,
) -> Result<Arc<Thread>, NoMemory> {
    let thread = Thread::new(reservation.id(), process.clone(), beginning)?;
    if signal::lacks_context(&thread) {
        signal::provide_context(&thread)?;
    }
    Ok(thread)
}

fn start(reservation: Reservation, process: &Process, thread: Arc<Thread>) -> Result<Id, Errno> {
    let id = reservation.id();
    introduce(reservation, process, thread.clone())?;
    sched::start(thread);
    Ok(id)
}

/// Makes a thread visible: to whoever ends `process`, and by its id.
///
/// # Errors
/// `EAGAIN` if the process is about to end; `ENOMEM`. Then nothing is visible.
pub(crate) fn introduce(
    reservation: Reservation,
    process: &Process,
    thread: Arc<Thread>,
) -> Result<(), Errno> {
    loop {
        let mut life = process.life.lock();
        if !signal::lacks_context(&thread) {
            if !life.add(thread.clone()) {
                return Err(Errno::EAGAIN);
            }
            break;
        }
        drop(life);
        // SIGNAL-4: the process has just set its first handler.
        signal::provide_context(&thread)?;
    }
    // Nothing fails from here on.
    process.any_space().add_thread();
    reservation.publish(thread);
    Ok(())
}
