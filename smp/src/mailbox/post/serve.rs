//! What a CPU does with its mailbox: MAIL-2, MAIL-4.

use super::{Bell, Class, Lane, Mailboxes, WORD_BITS};
use crate::cpu::CpuId;
use crate::irq::{self, IrqOff};
use crate::pin::Pinned;
use crate::sync::{AtomicU64, Ordering};

impl<B: Bell> Mailboxes<B> {
    /// Runs the flush requests that wait for this CPU, at the cost of a few reads when there are none.
    #[inline]
    pub fn serve_flush_requests(&self, pin: &Pinned) {
        let own = &self.mailbox(pin.cpu()).flush;
        // Relaxed: what is missed here is found by the interrupt, or the next time.
        let mut words = self.inbox_of(own).iter();
        if words.any(|word| word.load(Ordering::Relaxed) != 0) {
            self.serve(own, &irq::disable(), Class::Flush);
        }
    }

    /// Runs everything that waits for this CPU: the body of the interrupt's handler.
    pub fn serve_from_interrupt(&self) {
        let off = irq::disable();
        let own = self.mailbox(off.cpu());
        self.serve(&own.flush, &off, Class::Flush);
        self.serve(&own.call, &off, Class::Call);
    }

    /// Runs what this CPU, whose lane `own` is, has been asked for in the class.
    #[inline(always)]
    fn serve(&self, own: &Lane, off: &IrqOff, class: Class) {
        for (index, word) in self.inbox_of(own).iter().enumerate() {
            // Relaxed: what is missed here has an interrupt on its way (MAIL-3).
            if word.load(Ordering::Relaxed) != 0 {
                self.serve_senders(class, index, word, off);
            }
        }
    }

    /// Runs what those ask for who have a bit in `word`, the word number `index` of this CPU's inbox.
    #[inline(always)]
    fn serve_senders(&self, class: Class, index: usize, word: &AtomicU64, off: &IrqOff) {
        // Acquire pairs with the Release of every sender whose bit this takes (MAIL-2).
        let mut senders = word.swap(0, Ordering::Acquire);
        while senders != 0 {
            let sender = CpuId::new(index * WORD_BITS + senders.trailing_zeros() as usize);
            senders &= senders - 1;
            // SAFETY: its bit came out of our inbox by the swap above.
            unsafe { self.lane(sender, class).record.run(off) };
        }
    }

    /// The words of an inbox that a sender can have a bit in.
    #[inline(always)]
    fn inbox_of<'l>(&self, lane: &'l Lane) -> &'l [AtomicU64] {
        &lane.inbox[..self.inbox_words]
    }
}
