//! For loom models: a stand-in for [`crate::wait::WaitQueue`], with the same steps.
//!
//! A waiter looks at its condition, gets into the queue, looks once more, and sleeps until it has been taken out. Loom
//! reports a deadlock if all sleep for ever.

use std::collections::VecDeque;

use loom::sync::{Condvar, Mutex};

/// Threads that wait, by the numbers that they draw.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    next: usize,
    waiters: VecDeque<usize>,
}

impl Queue {
    pub(crate) fn wait_until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        if let Some(value) = condition() {
            return value;
        }
        loop {
            let number = self.enter();
            let found = condition();
            let mut state = self.state.lock().expect("loom's lock");
            if let Some(value) = found {
                state.waiters.retain(|&waiter| waiter != number);
                return value;
            }
            while state.waiters.contains(&number) {
                state = self.woken.wait(state).expect("loom's lock");
            }
        }
    }

    pub(crate) fn wake_one(&self) {
        self.state.lock().expect("loom's lock").waiters.pop_front();
        self.woken.notify_all();
    }

    fn enter(&self) -> usize {
        let mut state = self.state.lock().expect("loom's lock");
        let number = state.next;
        state.next += 1;
        state.waiters.push_back(number);
        number
    }
}

/// Explores all interleavings with at most three preemptions.
pub(crate) fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
