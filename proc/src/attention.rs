//! What others want of a thread: that it ends, or that it looks where it may run.
//!
//! The guarantee: a thread does what is wanted at its next return to user mode, and a sleep in which it can be interrupted
//! ends for a kill; neither waits for anything else to happen to the thread.
//!
//! Who wants something sets a bit, and then looks where the thread is: asleep ([`crate::parking`], PARK-2), or on a CPU,
//! which is interrupted.
//!
//! - **WANT-1** the thread looks at the bits with interrupts off on its way to user mode. An interrupt that was sent because
//!   of them arrives there, or has been there before the look.
//! - **WANT-2** a thread that moves has its new CPU noted before it runs there, and looks after that. So whoever interrupts
//!   the CPU that is noted has set the bits before the look, or interrupts the right one.

use crate::sync::{AtomicU8, Ordering, fence};

/// The thread is to end. Never taken back.
const DYING: u8 = 1;
/// The thread's affinity has changed.
const MOVE: u8 = 2;

/// What others want of one thread.
pub struct Attention(AtomicU8);

impl Default for Attention {
    fn default() -> Attention {
        Attention::new()
    }
}

impl Attention {
    /// Nothing is wanted.
    pub fn new() -> Attention {
        Attention(AtomicU8::new(0))
    }

    /// Whether anything is wanted.
    pub fn is_wanted(&self) -> bool {
        // Relaxed: WANT-1; x86 does not move this before the noting of the CPU (WANT-2), since the switch to the thread
        // has a locked instruction in between.
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether the thread is to end.
    pub fn is_dying(&self) -> bool {
        // Relaxed: for a sleeper the fence in `Parking::begin` orders it (PARK-2).
        self.0.load(Ordering::Relaxed) & DYING != 0
    }

    /// The thread is to end. Wake it, and interrupt its CPU, afterwards.
    pub fn set_dying(&self) {
        // Relaxed: how the process ends is behind a lock of its own, and the fence orders the rest.
        self.0.fetch_or(DYING, Ordering::Relaxed);
        // PARK-2: pairs with the fence in `Parking::begin`. WANT-2: the CPU of the thread is looked at after this.
        fence(Ordering::SeqCst);
    }

    /// The thread is to look whether it is on a CPU that it may run on. Interrupt its CPU afterwards.
    pub fn ask_to_move(&self) {
        // Release pairs with the Acquire in `clear_ask_to_move`: who clears the bit sees the new affinity.
        self.0.fetch_or(MOVE, Ordering::Release);
        // WANT-2: as in `set_dying`.
        fence(Ordering::SeqCst);
    }

    /// The thread is about to look where it may run.
    pub fn clear_ask_to_move(&self) {
        // Acquire pairs with the Release in `ask_to_move`.
        self.0.fetch_and(!MOVE, Ordering::Acquire);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Attention;

    #[test]
    fn a_request_to_move_comes_and_goes_and_one_to_end_stays() {
        let attention = Attention::new();
        assert!(!attention.is_wanted());
        attention.ask_to_move();
        assert!(attention.is_wanted() && !attention.is_dying());
        attention.clear_ask_to_move();
        assert!(!attention.is_wanted());
        attention.set_dying();
        attention.ask_to_move();
        attention.clear_ask_to_move();
        assert!(attention.is_wanted() && attention.is_dying());
    }
}
