//! What a CPU does with its mailbox: MAIL-2, MAIL-4.

use super::{Bell, Mailboxes, WORD_BITS};
use crate::cpu::CpuId;
use crate::irq::{self, IrqOff};
use crate::pin::Pinned;
use crate::sync::{AtomicU64, Ordering};

impl<B: Bell> Mailboxes<B> {
    /// Runs what this CPU has been asked for, at the cost of a few reads when there is nothing.
    #[inline]
    pub fn serve_requests(&self, pin: &Pinned) {
        // Relaxed: what is missed here is found by the interrupt, or the next time.
        let mut words = self.inbox_of(pin.cpu()).iter();
        if words.any(|word| word.load(Ordering::Relaxed) != 0) {
            self.serve(&irq::disable());
        }
    }

    /// As [`Mailboxes::serve_requests`], with interrupts off already: the body of the interrupt's handler.
    #[inline]
    pub fn serve(&self, off: &IrqOff) {
        match self.inbox_of(off.cpu()) {
            // Up to 64 CPUs.
            [word] => self.serve_senders(0, word, off),
            words => self.serve_words(words, off),
        }
    }

    #[cold]
    fn serve_words(&self, words: &[AtomicU64], off: &IrqOff) {
        for (index, word) in words.iter().enumerate() {
            // Relaxed: what is missed here has an interrupt on its way (MAIL-3).
            if word.load(Ordering::Relaxed) != 0 {
                self.serve_senders(index, word, off);
            }
        }
    }

    /// Runs what those ask for who have a bit in `word`, the word number `index` of this CPU's inbox.
    #[inline(always)]
    fn serve_senders(&self, index: usize, word: &AtomicU64, off: &IrqOff) {
        // Acquire pairs with the Release of every sender whose bit this takes (MAIL-2).
        let mut senders = word.swap(0, Ordering::Acquire);
        while senders != 0 {
            let sender = CpuId::new(index * WORD_BITS + senders.trailing_zeros() as usize);
            senders &= senders - 1;
            // SAFETY: its bit came out of our inbox by the swap above.
            unsafe { self.mailbox(sender).record.run(off) };
        }
    }

    /// The words of the inbox of `cpu` that a sender can have a bit in.
    #[inline(always)]
    fn inbox_of(&self, cpu: CpuId) -> &[AtomicU64] {
        &self.mailbox(cpu).inbox[..self.inbox_words]
    }
}
