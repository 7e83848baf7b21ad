//! Threads as what can wait: the scheduler runs others meanwhile.

use alloc::sync::Arc;

use super::place;
use crate::attention::Attention;
use crate::parking::Parking;
use crate::thread::Thread;
use crate::wait::Waiter;

impl Waiter for Thread {
    #[inline]
    fn current() -> Arc<Thread> {
        super::current()
    }

    #[inline]
    fn parking(&self) -> &Parking {
        &self.parking
    }

    #[inline]
    fn attention(&self) -> &Attention {
        &self.attention
    }

    #[inline]
    fn block() {
        super::block();
    }

    #[inline]
    fn enqueue(thread: Arc<Thread>) {
        place::enqueue(thread);
    }
}
