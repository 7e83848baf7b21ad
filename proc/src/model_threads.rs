//! For loom models: the kernel's own processes and threads, with a stand-in for the scheduler.
//!
//! A loom thread plays a CPU, which runs one thread. Threads have no stack and go to no user mode. Loom reports a
//! deadlock if one sleeps for ever.

#[path = "../tests/line/mod.rs"]
mod line;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::Errno;
use loom::thread::{self, JoinHandle};
use mm::aspace::SpaceRef;

use self::line::Line;
use crate::attention::Attention;
use crate::file::Descriptors;
use crate::name::Name;
use crate::parking::{Finish, Parking};
use crate::process::Process;
use crate::table::model::CAPACITY;
use crate::table::{self, Entry, Reservation};
use crate::thread::{Id, Thread};
use crate::wait::Waiter;
use crate::{birth, exit};

loom::thread_local! {
    /// The thread that this CPU runs.
    static CURRENT: RefCell<Option<Arc<Thread>>> = RefCell::new(None);
    /// What has been made on this CPU.
    static BORN: RefCell<Born> = RefCell::new(Born::default());
}

#[derive(Default)]
struct Born {
    processes: Vec<(Id, Weak<Process>)>,
    threads: Vec<(Id, Weak<Thread>)>,
}

loom::lazy_static! {
    /// By a thread's id: raised while it is in a run queue.
    static ref RUN_QUEUES: [Line; CAPACITY] = core::array::from_fn(|_| Line::new());
}

impl Waiter for Thread {
    fn current() -> Arc<Thread> {
        CURRENT.with(|current| current.borrow().clone().expect("a thread runs here"))
    }

    fn parking(&self) -> &Parking {
        &self.parking
    }

    fn attention(&self) -> &Attention {
        &self.attention
    }

    /// The second half of the switch is the next thread's; it comes after the first in any case.
    fn block() {
        let current = Thread::current();
        if current.parking.finish() == Finish::AlreadyWoken {
            Thread::enqueue(current.clone());
        }
        run_queue(&current).wait();
    }

    fn enqueue(thread: Arc<Thread>) {
        assert!(!run_queue(&thread).raise(), "PARK-1: enqueued twice");
    }
}

fn run_queue(thread: &Thread) -> &'static Line {
    &RUN_QUEUES[thread.id() as usize]
}

/// Explores all interleavings with at most `preemptions` preemptions.
pub(crate) fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A process with `N` threads that do not run yet.
pub(crate) fn new_process<const N: usize>(parent: Option<&Thread>) -> [Arc<Thread>; N] {
    smp::wait::set_spin_limit(0);
    let parent = parent.and_then(Thread::process).cloned();
    let reservation = reserve();
    let (id, descriptors) = (reservation.id(), Descriptors::new());
    let name = Name::new("model");
    let new = Process::new(id, name, SpaceRef::Base, descriptors, parent.clone());
    let process = Arc::new(new);
    let born = (id, Arc::downgrade(&process));
    BORN.with(|all| all.borrow_mut().processes.push(born));
    // Loom wants its atomics made before they are shared.
    drop((process.parent.lock(), process.family.lock()));
    process.child_ended.wake_all();
    process.thread_ended.wake_all();
    process.descriptors.close_all();
    if let Some(parent) = parent {
        parent.family.lock().alive.push_back(process.clone());
    }
    let mut first = Some(reservation);
    core::array::from_fn(|_| {
        let reservation = first.take();
        let thread = new_thread(reservation.unwrap_or_else(reserve), &process);
        thread.expect("a process that goes on")
    })
}

/// A place in the table.
pub(crate) fn reserve() -> Reservation {
    table::reserve().expect("a place in the table")
}

/// Another thread of `process`, which does not run yet.
///
/// # Errors
/// `EAGAIN` if the process is about to end.
pub(crate) fn new_thread(
    reservation: Reservation,
    process: &Arc<Process>,
) -> Result<Arc<Thread>, Errno> {
    let thread = Thread::without_stack(reservation.id(), process.clone());
    let born = (thread.id(), Arc::downgrade(&thread));
    BORN.with(|all| all.borrow_mut().threads.push(born));
    birth::introduce(reservation, process, thread.clone())?;
    Ok(thread)
}

/// The thread `id`, which was made on this CPU, is not in use any more.
pub(crate) fn assert_thread_is_gone(id: Id) {
    assert!(
        !matches!(table::find(id), Entry::Thread(_)),
        "its id is in use"
    );
    BORN.with(|born| assert_gone(&born.borrow().threads, |other| other == id));
}

/// The process `id`, which was made on this CPU, is not in use any more.
pub(crate) fn assert_process_is_gone(id: Id) {
    assert!(matches!(table::find(id), Entry::Free), "its id is in use");
    BORN.with(|born| assert_gone(&born.borrow().processes, |other| other == id));
}

/// No thread and no process is in use any more.
pub(crate) fn assert_nothing_is_left() {
    assert_eq!(table::used(), 0, "an id is in use");
    BORN.with(|born| {
        assert_gone(&born.borrow().threads, |_| true);
        assert_gone(&born.borrow().processes, |_| true);
    });
}

fn assert_gone<T>(all: &[(Id, Weak<T>)], is_meant: impl Fn(Id) -> bool) {
    for (id, object) in all.iter().filter(|(id, _)| is_meant(*id)) {
        assert_eq!(object.strong_count(), 0, "{id} is still referred to");
    }
}

/// This CPU runs `thread`, which does `act` and comes to no end.
pub(crate) fn run<T>(thread: &Arc<Thread>, act: impl FnOnce(&Thread) -> T) -> T {
    CURRENT.with(|current| *current.borrow_mut() = Some(thread.clone()));
    let result = act(thread);
    CURRENT.with(|current| current.borrow_mut().take());
    result
}

/// This CPU runs `thread`, which does `act`, ends with 0 unless it is to end anyway, and leaves its process. The next
/// thread buries it.
pub(crate) fn run_to_the_end<T>(thread: Arc<Thread>, act: impl FnOnce(&Thread) -> T) -> T {
    let result = run(&thread, |thread| {
        let result = act(thread);
        if !thread.is_dying() {
            exit::end_thread(thread, 0);
        }
        exit::leave_process(thread);
        result
    });
    exit::bury(thread);
    result
}

/// This CPU runs `thread`, which ends at once.
pub(crate) fn end(thread: Arc<Thread>) {
    run_to_the_end(thread, |_| ());
}

/// As [`run_to_the_end`], on another CPU.
pub(crate) fn run_on_another_cpu<T: 'static>(
    thread: Arc<Thread>,
    act: impl FnOnce(&Thread) -> T + 'static,
) -> JoinHandle<T> {
    thread::spawn(move || run_to_the_end(thread, act))
}
