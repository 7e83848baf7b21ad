//! What others want of a thread: that it ends, that it takes a signal, or that it looks where it may run.
//!
//! The guarantee: a thread does what is wanted at its next return to user mode, and a sleep in which it can be
//! interrupted ends for a kill or a signal; neither waits for anything else to happen to the thread.
//!
//! Who wants something sets a bit, and then looks where the thread is: asleep ([`crate::parking`], PARK-2), or on a
//! CPU, which is interrupted.
//!
//! - **WANT-1** the thread looks at the bits with interrupts off on its way to user mode. An interrupt that was sent
//!   because of them arrives there, or has been there before the look.
//! - **WANT-2** a thread that moves has its new CPU noted before it runs there, and looks after that. So whoever
//!   interrupts the CPU that is noted has set the bits before the look, or interrupts the right one. Who finds that no
//!   CPU runs the thread need not interrupt any: it looks after a CPU has taken it up.
//! - **WANT-3** whether the thread is in a signal handler is in the same word as the signals that it is to take, so a
//!   signal is refused or taken, and a thread is never in two handlers.

use abi::Signal;

use crate::sync::{AtomicU64, Ordering, fence};

/// The thread is in a signal handler.
const IN_HANDLER: u64 = 1;
/// Signals that wait to be taken: the bits of their numbers.
const SIGNALS: u64 = (1 << (Signal::MAX + 1)) - 2;
/// The thread is to end. Never taken back.
const DYING: u64 = 1 << 32;
/// The thread's affinity has changed.
const MOVE: u64 = 1 << 33;
/// The thread has asked to leave its signal handler.
const LEAVE_HANDLER: u64 = 1 << 34;
/// The thread is in a system call that needs all its registers.
const REGISTERS: u64 = 1 << 35;

/// What others want of one thread.
pub struct Attention(AtomicU64);

/// The thread takes no signal: it is in a handler, or about to end.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Refused;

impl Default for Attention {
    fn default() -> Attention {
        Attention::new()
    }
}

impl Attention {
    /// Nothing is wanted.
    pub fn new() -> Attention {
        Attention(AtomicU64::new(0))
    }

    /// Of a thread that begins as a copy of another one: it is in a handler if that is, and nothing is wanted.
    pub fn copy_for_fork(&self) -> Attention {
        // Relaxed: the thread that is copied calls this.
        Attention(AtomicU64::new(self.0.load(Ordering::Relaxed) & IN_HANDLER))
    }

    /// Whether anything is wanted that the thread can do now.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        // Relaxed: WANT-1; x86 does not move this before the noting of the CPU (WANT-2), since the switch to the thread
        // has a locked instruction in between.
        let word = self.0.load(Ordering::Relaxed);
        word & !not_now(word) != 0
    }

    /// All bits. If they are 0, nothing is wanted: a quicker look than `is_wanted`.
    #[inline(always)]
    pub fn bits(&self) -> u64 {
        // Relaxed: as in `is_wanted`.
        self.0.load(Ordering::Relaxed)
    }

    /// The thread is in a system call that needs all its registers: it is to leave the quick way, on which they are not
    /// saved, and to make the call there.
    pub fn want_registers(&self) {
        // Relaxed: the thread itself looks.
        self.0.fetch_or(REGISTERS, Ordering::Relaxed);
    }

    /// Whether the thread has left the quick way to make a system call that needs all its registers, which it makes
    /// now.
    #[inline]
    pub fn take_want_of_registers(&self) -> bool {
        // Relaxed: only the thread itself changes this bit.
        let is_wanted = self.0.load(Ordering::Relaxed) & REGISTERS != 0;
        if is_wanted {
            self.0.fetch_and(!REGISTERS, Ordering::Relaxed);
        }
        is_wanted
    }

    /// Whether the thread is to end.
    pub fn is_dying(&self) -> bool {
        // Relaxed: for a sleeper the fence in `Parking::begin` orders it (PARK-2).
        self.0.load(Ordering::Relaxed) & DYING != 0
    }

    /// Whether waits in the kernel are over: the thread is to end or to take a signal.
    pub fn is_interrupted(&self) -> bool {
        // Acquire pairs with the Release in `post`: who sees the signal sees what its sender did before. Else as in
        // `is_dying`.
        let word = self.0.load(Ordering::Acquire);
        word & !not_now(word) & (DYING | SIGNALS) != 0
    }

    /// Whether the thread is in a signal handler.
    pub fn is_in_handler(&self) -> bool {
        // Relaxed: only the thread itself changes this; for others it is stale at once.
        self.0.load(Ordering::Relaxed) & IN_HANDLER != 0
    }

    /// The thread is to end. Wake it, and interrupt its CPU, afterwards.
    pub fn set_dying(&self) {
        // Relaxed: how the process ends is behind a lock of its own, and the fence orders the rest.
        self.0.fetch_or(DYING, Ordering::Relaxed);
        // PARK-2: pairs with the fence in `Parking::begin`. WANT-2: the CPU of the thread is looked at after this.
        fence(Ordering::SeqCst);
    }

    /// The thread is to take `signal`. Wake it, and interrupt its CPU, afterwards.
    ///
    /// # Errors
    /// [`Refused`] if it is in a handler or about to end; nothing has changed then.
    pub fn post(&self, signal: Signal) -> Result<(), Refused> {
        self.post_unless(IN_HANDLER | DYING, signal)
    }

    /// As [`Attention::post`], also if the thread is in a handler: then it takes the signal when it has left that.
    ///
    /// # Errors
    /// [`Refused`] if it is about to end.
    pub fn post_for_later(&self, signal: Signal) -> Result<(), Refused> {
        self.post_unless(DYING, signal)
    }

    fn post_unless(&self, refusing: u64, signal: Signal) -> Result<(), Refused> {
        let post = |word| (word & refusing == 0).then_some(word | bit(signal));
        // Release pairs with the Acquire in `begin_signal`: the handler sees what came before the signal. Relaxed: the
        // exchange checks what was read (WANT-3).
        let posted = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, post);
        // PARK-2 and WANT-2: as in `set_dying`.
        fence(Ordering::SeqCst);
        posted.map(drop).map_err(|_| Refused)
    }

    /// Takes back a signal that the thread, which is about to end, has not taken.
    pub fn take_back_signal(&self) -> Option<Signal> {
        let take_back = |word: u64| Some(word & !bit(lowest(word)?));
        // Acquire and Relaxed as in `begin_signal`: whoever gets the signal instead sees the same.
        let word = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, take_back);
        lowest(word.ok()?)
    }

    /// The thread takes the waiting signal with the lowest number, if it is in no handler, and is in one from now on.
    pub fn begin_signal(&self) -> Option<Signal> {
        let take = |word: u64| {
            let signal = lowest(word & !not_now(word))?;
            Some(word & !bit(signal) | IN_HANDLER)
        };
        // Acquire pairs with the Release in `post`. Relaxed: the exchange checks what was read.
        let word = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        lowest(word.ok()?)
    }

    /// The thread goes into a handler for a fault of its own.
    ///
    /// # Errors
    /// [`Refused`] if it is in one.
    pub fn begin_fault(&self) -> Result<(), Refused> {
        // Relaxed: nothing is passed on by this.
        match self.0.fetch_or(IN_HANDLER, Ordering::Relaxed) & IN_HANDLER {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }

    /// The thread, which is in a handler, wants to go back to what that has interrupted.
    pub fn ask_to_leave_handler(&self) {
        // Relaxed: the thread itself looks.
        self.0.fetch_or(LEAVE_HANDLER, Ordering::Relaxed);
    }

    /// The thread is in no handler any more. True if it has asked for that.
    pub fn leave_handler(&self) -> bool {
        // Relaxed: only the thread itself goes by these bits; for others see WANT-3.
        let word = self
            .0
            .fetch_and(!(IN_HANDLER | LEAVE_HANDLER), Ordering::Relaxed);
        word & LEAVE_HANDLER != 0
    }

    /// Whether the thread has asked to leave its handler.
    pub fn wants_to_leave_handler(&self) -> bool {
        // Relaxed: as in `leave_handler`.
        self.0.load(Ordering::Relaxed) & LEAVE_HANDLER != 0
    }

    /// The thread is to look whether it is on a CPU that it may run on. Interrupt its CPU afterwards.
    pub fn ask_to_move(&self) {
        // Release pairs with the Acquire in `clear_ask_to_move`: who clears the bit sees the new affinity.
        self.0.fetch_or(MOVE, Ordering::Release);
        // WANT-2: as in `set_dying`.
        fence(Ordering::SeqCst);
    }

    /// Whether the thread has been asked to look where it may run.
    pub fn is_asked_to_move(&self) -> bool {
        // Relaxed: `clear_ask_to_move` orders what comes after.
        self.0.load(Ordering::Relaxed) & MOVE != 0
    }

    /// The thread is about to look where it may run.
    pub fn clear_ask_to_move(&self) {
        // Acquire pairs with the Release in `ask_to_move`.
        self.0.fetch_and(!MOVE, Ordering::Acquire);
    }
}

/// The bits of `word` that want nothing now: in a handler the signals that wait, and that it is one.
fn not_now(word: u64) -> u64 {
    if word & IN_HANDLER == 0 {
        0
    } else {
        IN_HANDLER | SIGNALS
    }
}

fn bit(signal: Signal) -> u64 {
    1 << signal.number()
}

/// The signal with the lowest number in a word.
fn lowest(word: u64) -> Option<Signal> {
    Signal::from_number((word & SIGNALS).trailing_zeros() as i32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use abi::Signal;

    use super::{Attention, Refused};

    #[test]
    fn a_request_to_move_comes_and_goes_and_one_to_end_stays() {
        let attention = Attention::new();
        assert!(!attention.is_wanted());
        attention.ask_to_move();
        assert!(attention.is_wanted() && !attention.is_dying() && !attention.is_interrupted());
        attention.clear_ask_to_move();
        assert!(!attention.is_wanted());
        attention.set_dying();
        attention.ask_to_move();
        attention.clear_ask_to_move();
        assert!(attention.is_wanted() && attention.is_dying() && attention.is_interrupted());
    }

    #[test]
    fn signals_are_taken_one_at_a_time_and_the_next_when_the_handler_has_been_left() {
        let attention = Attention::new();
        attention.post(Signal::SIGUSR2).unwrap();
        attention.post(Signal::SIGINT).unwrap();
        assert!(attention.is_wanted() && attention.is_interrupted());
        assert_eq!(attention.begin_signal(), Some(Signal::SIGINT));
        assert!(attention.is_in_handler() && !attention.is_wanted() && !attention.is_interrupted());
        assert_eq!(attention.begin_signal(), None);
        attention.ask_to_leave_handler();
        assert!(attention.is_wanted() && attention.wants_to_leave_handler());
        assert!(attention.leave_handler() && attention.is_wanted());
        assert_eq!(attention.begin_signal(), Some(Signal::SIGUSR2));
        assert!(!attention.leave_handler() && !attention.is_wanted());
        assert_eq!(attention.begin_signal(), None);
    }

    #[test]
    fn in_a_handler_a_sent_signal_is_refused_a_fault_too_and_a_kill_is_not() {
        let attention = Attention::new();
        attention.begin_fault().unwrap();
        assert_eq!(attention.post(Signal::SIGUSR1), Err(Refused));
        assert_eq!(attention.begin_fault(), Err(Refused));
        assert!(!attention.is_wanted());
        attention.post_for_later(Signal::SIGCHLD).unwrap();
        assert!(!attention.is_wanted() && !attention.is_interrupted());
        attention.set_dying();
        assert!(attention.is_wanted() && attention.is_interrupted());
    }

    #[test]
    fn who_is_about_to_end_takes_no_signal_and_gives_back_those_that_wait() {
        let attention = Attention::new();
        attention.post(Signal::SIGUSR1).unwrap();
        attention.set_dying();
        assert_eq!(attention.post(Signal::SIGUSR2), Err(Refused));
        assert_eq!(attention.post_for_later(Signal::SIGUSR2), Err(Refused));
        assert_eq!(attention.take_back_signal(), Some(Signal::SIGUSR1));
        assert_eq!(attention.take_back_signal(), None);
    }

    #[test]
    fn the_highest_and_the_lowest_signal_are_signals() {
        for number in [1, Signal::MAX] {
            let (attention, signal) = (Attention::new(), Signal::from_number(number).unwrap());
            attention.post(signal).unwrap();
            assert_eq!(attention.begin_signal(), Some(signal));
            assert!(attention.is_in_handler());
        }
    }

    #[test]
    fn a_call_that_needs_all_registers_is_made_once_also_in_a_handler() {
        let attention = Attention::new();
        assert!(!attention.take_want_of_registers());
        attention.begin_fault().unwrap();
        attention.want_registers();
        assert!(attention.is_wanted() && !attention.is_interrupted());
        assert!(attention.take_want_of_registers() && !attention.take_want_of_registers());
        assert!(attention.is_in_handler() && !attention.is_wanted());
    }

    #[test]
    fn a_copy_is_in_a_handler_too_and_nothing_is_wanted_of_it() {
        let attention = Attention::new();
        attention.begin_fault().unwrap();
        attention.set_dying();
        let copy = attention.copy_for_fork();
        assert!(copy.is_in_handler() && !copy.is_wanted());
    }
}
