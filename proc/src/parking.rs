//! Parking: how a thread gives up its CPU until somebody wakes it, without losing the wake-up.
//!
//! The guarantee: if [`Parking::unpark`] is called after [`Parking::begin`], the thread runs again; and of all wake-ups
//! of one sleep exactly one puts the thread into a run queue.
//!
//! A thread cannot be put into a run queue while it still runs on its own stack, so going to sleep takes two steps. The
//! thread itself announces it (`begin`), looks once more whether there is still something to wait for, and switches
//! away. The next thread on that CPU then completes it (`finish`), when the stack is free. A wake-up between the two
//! steps is left as a note that `finish` finds.
//!
//! | state    | who may change it                         | to |
//! |----------|-------------------------------------------|----|
//! | RUNNING  | the thread (`begin`)                      | PARKING |
//! | PARKING  | the thread (`cancel`)                     | RUNNING |
//! | PARKING  | a waker (`unpark`)                        | UNPARKED |
//! | PARKING  | the next thread on the CPU (`finish`)     | PARKED |
//! | UNPARKED | the thread (`cancel`), the next thread (`finish`) | RUNNING |
//! | PARKED   | a waker (`unpark`), who must enqueue it   | RUNNING |
//!
//! - **PARK-1** only the waker that moves PARKED to RUNNING enqueues the thread, or, if the wake-up came before, the
//!   next thread on the CPU.
//! - **PARK-2** `begin` and what a waker sets before `unpark` are ordered: either the waker finds PARKING, or the
//!   sleeper's second look finds what the waker set. For what waits in a queue, the queue's lock orders the two. A kill
//!   finds its thread without any lock: for its sake both sides have a SeqCst fence.

use crate::sync::{AtomicU8, Ordering, fence};

const RUNNING: u8 = 0;
const PARKING: u8 = 1;
const UNPARKED: u8 = 2;
const PARKED: u8 = 3;

/// The sleep state of one thread. RUNNING also stands for runnable: who holds it in a run queue or on a CPU knows.
pub struct Parking(AtomicU8);

/// What a waker has to do.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unpark {
    /// Nothing: the thread is awake, or will find the note.
    Nothing,
    /// The thread was parked; the caller must put it into a run queue.
    Enqueue,
}

/// What the next thread on the CPU finds of its predecessor.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// It sleeps; a waker will enqueue it.
    Parked,
    /// A wake-up came in between; the caller must put it into a run queue.
    AlreadyWoken,
}

impl Default for Parking {
    fn default() -> Parking {
        Parking::new()
    }
}

impl Parking {
    /// The state of a thread that does not sleep.
    pub fn new() -> Parking {
        Parking(AtomicU8::new(RUNNING))
    }

    /// The thread announces that it is about to sleep.
    pub fn begin(&self) {
        // Relaxed: nobody else changes RUNNING, and wakers find the thread by way of a lock, or of the fence.
        self.0.store(PARKING, Ordering::Relaxed);
        // PARK-2: pairs with the fence in `Attention::set_dying`.
        fence(Ordering::SeqCst);
    }

    /// The thread found that it need not sleep after all.
    pub fn cancel(&self) {
        // Relaxed: nothing is published; a late waker finds RUNNING and does nothing, or left UNPARKED, which the
        // thread makes good by having looked again.
        self.0.store(RUNNING, Ordering::Relaxed);
    }

    /// The next thread on the CPU completes the sleep of its predecessor, whose stack is now free.
    pub fn finish(&self) -> Finish {
        // Release on success pairs with the Acquire in `unpark`: whoever enqueues the thread sees its saved registers.
        // Acquire on failure pairs with the Release there: the thread, when it runs, sees what it was woken for.
        match self
            .0
            .compare_exchange(PARKING, PARKED, Ordering::Release, Ordering::Acquire)
        {
            Ok(_) => Finish::Parked,
            Err(_) => {
                // Relaxed: wakers leave UNPARKED alone.
                self.0.store(RUNNING, Ordering::Relaxed);
                Finish::AlreadyWoken
            }
        }
    }

    /// Wakes the thread, whatever it does.
    #[inline]
    pub fn unpark(&self) -> Unpark {
        // Relaxed: PARK-2 says what orders this after `begin`.
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let (next, effect) = match state {
                PARKING => (UNPARKED, Unpark::Nothing),
                PARKED => (RUNNING, Unpark::Enqueue),
                _ => return Unpark::Nothing,
            };
            // AcqRel: both pair with `finish`.
            match self
                .0
                .compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return effect,
                Err(seen) => state = seen,
            }
        }
    }

    /// Whether the thread sleeps or is about to. Stale at once; for display only.
    pub fn is_parked_racy(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), PARKING | PARKED)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Finish, Parking, Unpark};

    #[test]
    fn one_of_several_wake_ups_enqueues_a_parked_thread() {
        let parking = Parking::new();
        parking.begin();
        assert_eq!(parking.finish(), Finish::Parked);
        assert_eq!(
            [(); 3].map(|()| parking.unpark()),
            [Unpark::Enqueue, Unpark::Nothing, Unpark::Nothing]
        );
    }

    #[test]
    fn a_wake_up_before_the_sleep_is_complete_is_found_by_whoever_completes_it() {
        let parking = Parking::new();
        parking.begin();
        assert_eq!(
            [(); 2].map(|()| parking.unpark()),
            [Unpark::Nothing, Unpark::Nothing]
        );
        assert_eq!(parking.finish(), Finish::AlreadyWoken);
        assert_eq!(parking.unpark(), Unpark::Nothing);
    }

    #[test]
    fn a_wake_up_of_a_sleep_that_was_cancelled_does_not_end_the_next_one() {
        let parking = Parking::new();
        parking.begin();
        assert_eq!(parking.unpark(), Unpark::Nothing);
        parking.cancel();
        parking.begin();
        assert_eq!(parking.finish(), Finish::Parked);
    }

    #[test]
    fn a_thread_that_does_not_sleep_is_not_enqueued() {
        assert_eq!(Parking::new().unpark(), Unpark::Nothing);
    }
}
