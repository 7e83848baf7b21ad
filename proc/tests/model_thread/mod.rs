//! For loom models: what can wait, with the kernel's own parking, and a stand-in for the scheduler.

use std::cell::RefCell;
use std::sync::Arc;

use loom::thread;
use proc::attention::Attention;
use proc::parking::{Finish, Parking};
use proc::thread::WAIT_LINK;
use proc::wait::Waiter;
use smp::list::{Link, Linked};

use crate::line::Line;

/// A thread.
pub(crate) struct ModelThread {
    parking: Parking,
    pub(crate) attention: Attention,
    link: Link<ModelThread>,
    /// Raised while it is in a run queue.
    runs: Line,
}

loom::thread_local! {
    static CURRENT: RefCell<Option<Arc<ModelThread>>> = RefCell::new(None);
}

impl ModelThread {
    fn new() -> Arc<ModelThread> {
        Arc::new(ModelThread {
            parking: Parking::new(),
            attention: Attention::new(),
            link: Link::new(),
            runs: Line::new(),
        })
    }

    pub(crate) fn kill(self: Arc<ModelThread>) {
        self.attention.set_dying();
        ModelThread::unpark(self);
    }
}

impl Linked<WAIT_LINK> for ModelThread {
    fn link(&self) -> &Link<ModelThread> {
        &self.link
    }
}

impl Waiter for ModelThread {
    fn current() -> Arc<ModelThread> {
        CURRENT.with(|current| {
            current
                .borrow_mut()
                .get_or_insert_with(ModelThread::new)
                .clone()
        })
    }

    fn parking(&self) -> &Parking {
        &self.parking
    }

    fn attention(&self) -> &Attention {
        &self.attention
    }

    /// The second half of the switch is the next thread's; it comes after the first in any case.
    fn block() {
        let current = ModelThread::current();
        if current.parking.finish() == Finish::AlreadyWoken {
            ModelThread::enqueue(current.clone());
        }
        current.runs.wait();
    }

    fn enqueue(waiter: Arc<ModelThread>) {
        assert!(!waiter.runs.raise(), "PARK-1: enqueued twice");
    }
}

/// Runs `act` as another thread of the model, which others can kill.
pub(crate) fn start<T: 'static>(
    act: impl FnOnce() -> T + 'static,
) -> (Arc<ModelThread>, thread::JoinHandle<T>) {
    let model_thread = ModelThread::new();
    let current = model_thread.clone();
    let handle = thread::spawn(move || {
        CURRENT.with(|slot| *slot.borrow_mut() = Some(current));
        act()
    });
    (model_thread, handle)
}

/// Explores all interleavings with at most so many preemptions.
pub(crate) fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
