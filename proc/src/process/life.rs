//! The threads of a process, and how it ends: what one lock guards.
//!
//! A thread of a process is *running* from the moment that it can be found until it has been buried (that is: also
//! while it sleeps), and then *ended* until it is joined. Once it is decided how the process ends, it gets no thread
//! any more, and those that end are forgotten at once, since nobody is left to join them.
//!
//! The methods change the lists only. They return what the caller, without the lock, has to do.

use alloc::sync::{Arc, Weak};
use core::ptr;

use abi::ExitStatus;
use smp::list::ArcList;

use crate::thread::{Id, PROCESS_LINK, Thread};

/// The threads of a process.
pub(crate) struct Life {
    running: ArcList<Thread, PROCESS_LINK>,
    ended: ArcList<Thread, PROCESS_LINK>,
    /// How many threads have not begun to leave.
    present: usize,
    /// How many threads have not been buried.
    unburied: usize,
    /// How the process ends: set by the first of `exit`, a fatal signal, and the end of the last thread.
    status: Option<ExitStatus>,
}

impl Life {
    pub(super) fn new() -> Life {
        Life {
            running: ArcList::new(),
            ended: ArcList::new(),
            present: 0,
            unburied: 0,
            status: None,
        }
    }

    /// Adds a thread. False if the process is about to end: then the thread must not run.
    #[must_use]
    pub(crate) fn add(&mut self, thread: Arc<Thread>) -> bool {
        if self.status.is_some() {
            return false;
        }
        self.present += 1;
        self.unburied += 1;
        self.running.push_back(thread);
        true
    }

    /// The threads that have not been buried, those first that are there for longest.
    pub(crate) fn running(&self) -> &ArcList<Thread, PROCESS_LINK> {
        &self.running
    }

    /// Whether there is a thread that has not begun to leave.
    pub(crate) fn is_alive(&self) -> bool {
        self.present > 0
    }

    /// How the process ended or is about to end.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Decides how the process ends. False if that has been decided before: the first decision stays.
    #[must_use]
    pub(crate) fn decide(&mut self, status: ExitStatus) -> bool {
        let is_first = self.status.is_none();
        self.status.get_or_insert(status);
        is_first
    }

    /// Counts a thread out that begins to leave. The last one takes the process down, and gets those that nobody has
    /// joined; if it was not decided how the process ends, it ends with `status`.
    pub(crate) fn leave(&mut self, status: ExitStatus) -> Option<ArcList<Thread, PROCESS_LINK>> {
        self.present -= 1;
        if self.present > 0 {
            return None;
        }
        self.status.get_or_insert(status);
        Some(core::mem::take(&mut self.ended))
    }

    /// A thread has left, and its stack is not used any more. True if it can be joined now; otherwise it is to be
    /// forgotten.
    #[must_use]
    pub(crate) fn end(&mut self, thread: &Thread) -> bool {
        let Some(thread) = self.running.remove(thread) else {
            return false;
        };
        let can_be_joined = self.status.is_none();
        if can_be_joined {
            self.ended.push_back(thread);
        }
        can_be_joined
    }

    /// A thread has given back what it had, or can be joined. True for the last one.
    #[must_use]
    pub(crate) fn bury(&mut self) -> bool {
        self.unburied -= 1;
        self.unburied == 0
    }

    /// Takes out a thread that has ended.
    pub(crate) fn join(&mut self, thread: &Thread) -> Option<Arc<Thread>> {
        self.ended.remove(thread)
    }

    /// As [`Life::join`]. As long as there is the weak reference no other thread has this address.
    pub(crate) fn join_weak(&mut self, thread: &Weak<Thread>) -> Option<Arc<Thread>> {
        self.ended
            .pop_first_where(|ended| ptr::eq(ended, thread.as_ptr()))
    }

    /// Whether the thread has ended and can be joined.
    pub(crate) fn has_ended(&self, thread: &Thread) -> bool {
        self.ended.contains(thread)
    }

    /// The thread `id` if it has ended and can be joined.
    pub(crate) fn find_ended(&self, id: Id) -> Option<Arc<Thread>> {
        self.ended.find_arc(|thread| thread.id() == id)
    }
}
