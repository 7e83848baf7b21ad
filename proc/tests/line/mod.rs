//! For loom models: a line that one side raises and the other waits for.

use loom::sync::{Condvar, Mutex};

/// Stays raised until somebody has waited for it.
pub(crate) struct Line {
    is_raised: Mutex<bool>,
    has_been_raised: Condvar,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            is_raised: Mutex::new(false),
            has_been_raised: Condvar::new(),
        }
    }

    /// True if it was raised already.
    pub(crate) fn raise(&self) -> bool {
        let was_raised = std::mem::replace(&mut *self.is_raised.lock().unwrap(), true);
        self.has_been_raised.notify_one();
        was_raised
    }

    pub(crate) fn wait(&self) {
        let mut is_raised = self.is_raised.lock().unwrap();
        while !*is_raised {
            is_raised = self.has_been_raised.wait(is_raised).unwrap();
        }
        *is_raised = false;
    }
}
