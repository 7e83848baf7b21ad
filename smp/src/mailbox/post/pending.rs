//! How the sender of a request waits: MAIL-4, MAIL-6.

use core::fmt;
use core::marker::PhantomData;

use super::{Bell, Mailbox, Mailboxes, place_of};
use crate::cpu::CpuId;
use crate::cpu_set::CpuSet;
use crate::hw;
use crate::irq;
use crate::pin::{self, Pinned};
use crate::sync::Ordering;
use crate::wait::{self, SpinWait};

/// After such a time an interrupt is taken for lost (MAIL-6); then again after twice as long.
const RING_AGAIN_NS: u64 = 100_000_000;

/// A request under way. Waiting for it, or dropping it, ends when every target has run it.
#[must_use = "dropping it waits at once"]
pub struct Pending<'a, B: Bell> {
    /// The mailbox whose record it is in. `None` if there was no target.
    under_way: Option<(&'a Mailboxes<B>, &'a Mailbox)>,
    targets: usize,
    /// The sender stays on its CPU, whose record it waits for.
    pinned: PhantomData<&'a Pinned>,
}

impl<'a, B: Bell> Pending<'a, B> {
    /// The request that `own`, the mailbox of the sender's CPU, holds for so many targets.
    #[inline(always)]
    pub(super) fn new(mailboxes: &'a Mailboxes<B>, own: &'a Mailbox, targets: usize) -> Self {
        Pending {
            under_way: Some((mailboxes, own)),
            targets,
            pinned: PhantomData,
        }
    }

    /// A request without targets.
    pub(in crate::mailbox) fn done() -> Self {
        Pending {
            under_way: None,
            targets: 0,
            pinned: PhantomData,
        }
    }

    /// Waits until every target has run the request (MAIL-4). If it was followed by another of this CPU's,
    /// waits for that too. Panics if a target does not answer at all.
    pub fn wait(self) {
        drop(self);
    }

    /// How many CPUs have been asked.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Whether every target has run the request.
    pub fn is_finished(&self) -> bool {
        let under_way = self.under_way;
        under_way.is_none_or(|(_, own)| own.record.is_finished())
    }
}

impl<B: Bell> Drop for Pending<'_, B> {
    #[inline]
    fn drop(&mut self) {
        if let Some((mailboxes, own)) = self.under_way
            && !own.record.is_finished()
        {
            if wait::spin_limit() == 0 {
                // Often all that is needed.
                hw::pause();
            }
            if !own.record.is_finished() {
                mailboxes.wait_until_finished(own);
            }
        }
    }
}

impl<B: Bell> fmt::Debug for Pending<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

impl<B: Bell> Mailboxes<B> {
    /// Waits until every target has run the request of `own`, which is this CPU's and was not finished just before.
    pub(super) fn wait_until_finished(&self, own: &Mailbox) {
        let pin = pin::pin();
        let mut wait = SpinWait::new();
        let mut ring_again_ns = RING_AGAIN_NS;
        loop {
            if !wait.turn() {
                self.no_answer(pin.cpu());
            }
            if wait.waited_ns() >= ring_again_ns {
                ring_again_ns *= 2;
                self.ring_again(pin.cpu());
            }
            if own.record.is_finished() {
                return;
            }
            self.serve_requests(&pin);
            if own.record.is_finished() {
                return;
            }
        }
    }

    /// The CPUs that have not looked at the request of `sender`.
    fn unserved(&self, sender: CpuId) -> CpuSet {
        let (word, bit) = place_of(sender);
        let cpus = (0..self.boxes.len()).map(CpuId::new);
        // Relaxed: one that looks just now is rung at for nothing, or named in a message.
        let is_unserved =
            |cpu: &CpuId| self.mailbox(*cpu).inbox[word].load(Ordering::Relaxed) & bit != 0;
        cpus.filter(is_unserved).collect()
    }

    /// MAIL-6: rings at those who have not looked at the request of `sender`, which calls this.
    #[cold]
    fn ring_again(&self, sender: CpuId) {
        let targets = self.unserved(sender);
        if !targets.is_empty() {
            self.bell.ring(&targets, &irq::disable());
        }
    }

    #[cold]
    #[inline(never)]
    fn no_answer(&self, sender: CpuId) -> ! {
        let targets = self.unserved(sender);
        panic!(
            "watchdog: no answer to the request of CPU {sender}; not even looked at by {targets:?}"
        );
    }
}
