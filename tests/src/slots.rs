//! How many virtual CPUs run at the same time, so that no test is slow because of its neighbours.

use std::sync::{Condvar, Mutex, PoisonError};

/// Two machines of one or two CPUs, or one larger machine.
const SLOTS: usize = 2;

static FREE: Mutex<usize> = Mutex::new(SLOTS);
static FREED: Condvar = Condvar::new();

/// The right to have a machine run.
pub(crate) struct Slots {
    count: usize,
}

impl Slots {
    /// Waits until a machine with so many CPUs may run.
    pub(crate) fn take(cpus: usize) -> Slots {
        let count = if cpus <= 2 { 1 } else { SLOTS };
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < count {
            free = FREED.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= count;
        Slots { count }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.count;
        FREED.notify_all();
    }
}
