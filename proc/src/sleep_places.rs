//! Where threads sleep that wait for a lock of `mm`: a few wait queues, of which a lock's key chooses one.
//!
//! Locks that share a queue wake each other's waiters now and then, who look and sleep again.

use mm::rw_lock::Sleeper;

use crate::sched::{self, pending};
use crate::wait::WaitQueue;

const QUEUES: usize = 64;

/// What `mm` is told at boot.
pub(crate) static SLEEPER: SleepPlaces = SleepPlaces {
    queues: [const { WaitQueue::new() }; QUEUES],
};

pub(crate) struct SleepPlaces {
    queues: [WaitQueue; QUEUES],
}

impl SleepPlaces {
    fn queue(&self, key: usize) -> &WaitQueue {
        // Keys are addresses of structs: the low bits are alike, and the next ones differ.
        &self.queues[(key >> 6) % QUEUES]
    }
}

impl Sleeper for SleepPlaces {
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool) {
        let is_over = || (!is_to_wait()).then_some(());
        // A thread that is being killed needs the lock all the same, to give back what it has.
        self.queue(key).wait_uninterrupted(is_over);
    }

    fn wake_all(&self, key: usize) {
        self.queue(key).wake_all();
    }

    fn pause(&self) -> bool {
        if !pending::any(&smp::pin::pin()) {
            return true;
        }
        pending::serve();
        !sched::current().is_dying()
    }
}
