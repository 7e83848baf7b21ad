//! The mailboxes of all CPUs, and what senders and receivers do with them.
//!
//! It is a value passed by reference, so that tests and loom models run this code with machines of their own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crossbeam_utils::CachePadded;

use super::record::Record;
use super::{LIST_MAX, Request};
use crate::OutOfMemory;
use crate::cpu::{CpuId, MAX_CPUS};
use crate::cpu_set::CpuSet;
use crate::irq::{self, IrqOff};
use crate::pin::{self, Pinned};
use crate::sync::{AtomicU64, Ordering};
use crate::wait::SpinWait;

const WORD_BITS: usize = u64::BITS as usize;

/// After such a time an interrupt is taken for lost (MAIL-6); then again after twice as long.
const RING_AGAIN_NS: u64 = 100_000_000;

/// When a request is served.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Class {
    /// Wherever the target spins or waits, and from the interrupt.
    Flush,
    /// From the interrupt only.
    Call,
}

/// How CPUs are interrupted.
pub trait Bell {
    /// Interrupts each CPU of `targets`, so that it serves both classes. Interrupts are off on this CPU.
    fn ring(&self, targets: &CpuSet);
}

/// One class of one CPU's mailbox.
struct Lane {
    class: Class,
    /// What this CPU asks others for.
    record: Record,
    /// Who asks this CPU: a bit for each sender.
    inbox: [AtomicU64; MAX_CPUS / WORD_BITS],
}

impl Lane {
    fn new(class: Class) -> Lane {
        Lane {
            class,
            record: Record::new(),
            inbox: [const { AtomicU64::new(0) }; MAX_CPUS / WORD_BITS],
        }
    }
}

struct Mailbox {
    flush: CachePadded<Lane>,
    call: CachePadded<Lane>,
}

/// The mailboxes of the CPUs `0..len`.
pub struct Mailboxes<B: Bell> {
    boxes: Box<[Mailbox]>,
    /// How many words of an inbox a sender can have a bit in.
    inbox_words: usize,
    bell: B,
}

impl<B: Bell> Mailboxes<B> {
    /// Empty mailboxes for the CPUs `0..possible_cpus`.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(possible_cpus: usize, bell: B) -> Result<Mailboxes<B>, OutOfMemory> {
        let mut boxes = Vec::new();
        boxes
            .try_reserve_exact(possible_cpus)
            .map_err(|_| OutOfMemory)?;
        boxes.resize_with(possible_cpus, || Mailbox {
            flush: CachePadded::new(Lane::new(Class::Flush)),
            call: CachePadded::new(Lane::new(Class::Call)),
        });
        Ok(Mailboxes {
            boxes: boxes.into_boxed_slice(),
            inbox_words: possible_cpus.div_ceil(WORD_BITS),
            bell,
        })
    }

    /// Asks each CPU of `targets`, which are others than the caller's, for `request`. Waits first if this CPU's earlier
    /// request of the class is still under way (MAIL-1).
    #[inline(always)]
    pub fn send<'a>(
        &'a self,
        pin: &'a Pinned,
        class: Class,
        targets: &CpuSet,
        request: Request<'_>,
    ) -> Pending<'a, B> {
        assert!(
            request.list.len() <= LIST_MAX,
            "the list of a request has {LIST_MAX} words at most"
        );
        let sender = pin.cpu();
        debug_assert!(!targets.contains(sender), "a CPU asks itself");
        let count = targets.count();
        if count == 0 {
            return Pending::done();
        }
        if cfg!(debug_assertions) && class == Class::Call {
            assert!(
                irq::are_enabled() && !irq::in_handler(),
                "MAIL-4: a call request is sent with interrupts off"
            );
        }
        let lane = self.lane(sender, class);
        let mut off = irq::disable();
        // As long as interrupts are on, a handler may send a request of its own.
        while !lane.record.is_finished() {
            drop(off);
            self.wait_until_finished(lane);
            off = irq::disable();
        }
        // SAFETY: the record is our CPU's, the check and this have interrupts off.
        unsafe { lane.record.fill(request, count as u32) };
        let (word, bit) = place_of(sender);
        // Those that are not rung at.
        let mut spared = None;
        for target in targets.iter() {
            // Our bit is not set (MAIL-2), so adding it sets it. Release pairs with the Acquire in `serve_senders`: the
            // target sees the record.
            if self.lane(target, class).inbox[word].fetch_add(bit, Ordering::Release) != 0 {
                // MAIL-3: another sender's ring is on its way.
                spared.get_or_insert_with(CpuSet::new).insert(target);
            }
        }
        match &spared {
            None => self.bell.ring(targets),
            Some(spared) => self.ring_the_rest(targets, spared),
        }
        drop(off);
        Pending {
            under_way: Some((self, lane)),
            targets: count,
            pinned: PhantomData,
        }
    }

    /// Rings at those of `targets` that are not in `spared`.
    #[cold]
    fn ring_the_rest(&self, targets: &CpuSet, spared: &CpuSet) {
        let rest = targets.difference(spared);
        if !rest.is_empty() {
            self.bell.ring(&rest);
        }
    }

    /// Waits until every target has run the request of `lane`, which is this CPU's and was not finished just before.
    fn wait_until_finished(&self, lane: &Lane) {
        let pin = pin::pin();
        let mut wait = SpinWait::new();
        let mut ring_again_ns = RING_AGAIN_NS;
        loop {
            if !wait.turn() {
                self.no_answer(pin.cpu(), lane.class);
            }
            if wait.waited_ns() >= ring_again_ns {
                ring_again_ns *= 2;
                self.ring_again(pin.cpu(), lane.class);
            }
            if lane.record.is_finished() {
                return;
            }
            self.serve_flush_requests(&pin);
            if lane.record.is_finished() {
                return;
            }
        }
    }

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

    /// Whether no request is under way, from any CPU: so it is when nobody has sent anything, or all have been
    /// answered.
    pub fn are_idle(&self) -> bool {
        let lanes = self
            .boxes
            .iter()
            .flat_map(|mailbox| [&mailbox.flush, &mailbox.call]);
        // Relaxed: requests of which the caller does not know otherwise may begin or end at any time.
        lanes.fold(true, |idle, lane| {
            let asked = lane
                .inbox
                .iter()
                .filter(|word| word.load(Ordering::Relaxed) != 0)
                .count();
            idle & lane.record.is_finished() & (asked == 0)
        })
    }

    #[inline(always)]
    fn mailbox(&self, cpu: CpuId) -> &Mailbox {
        &self.boxes[cpu.index()]
    }

    #[inline(always)]
    fn lane(&self, cpu: CpuId, class: Class) -> &Lane {
        let mailbox = self.mailbox(cpu);
        match class {
            Class::Flush => &mailbox.flush,
            Class::Call => &mailbox.call,
        }
    }

    /// The words of an inbox that a sender can have a bit in.
    #[inline(always)]
    fn inbox_of<'l>(&self, lane: &'l Lane) -> &'l [AtomicU64] {
        &lane.inbox[..self.inbox_words]
    }

    /// The CPUs that have not looked at the request of `sender`.
    fn unserved(&self, sender: CpuId, class: Class) -> CpuSet {
        let (word, bit) = place_of(sender);
        let cpus = (0..self.boxes.len()).map(CpuId::new);
        // Relaxed: one that looks just now is rung at for nothing, or named in a message.
        let is_unserved =
            |cpu: &CpuId| self.lane(*cpu, class).inbox[word].load(Ordering::Relaxed) & bit != 0;
        cpus.filter(is_unserved).collect()
    }

    /// MAIL-6: rings at those who have not looked at the request of `sender`, which calls this.
    #[cold]
    fn ring_again(&self, sender: CpuId, class: Class) {
        let targets = self.unserved(sender, class);
        if !targets.is_empty() {
            let _off = irq::disable();
            self.bell.ring(&targets);
        }
    }

    #[cold]
    #[inline(never)]
    fn no_answer(&self, sender: CpuId, class: Class) -> ! {
        let targets = self.unserved(sender, class);
        panic!(
            "watchdog: no answer to a {class:?} request of CPU {sender}; not even looked at by {targets:?}"
        );
    }
}

impl<B: Bell> fmt::Debug for Mailboxes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailboxes")
            .field("cpus", &self.boxes.len())
            .finish_non_exhaustive()
    }
}

fn place_of(sender: CpuId) -> (usize, u64) {
    (
        sender.index() / WORD_BITS,
        1 << (sender.index() % WORD_BITS),
    )
}

/// A request under way. Waiting for it, or dropping it, ends when every target has run it.
#[must_use = "dropping it waits at once"]
pub struct Pending<'a, B: Bell> {
    /// The lane whose record it is in. `None` if there was no target.
    under_way: Option<(&'a Mailboxes<B>, &'a Lane)>,
    targets: usize,
    /// The sender stays on its CPU, whose record it waits for.
    pinned: PhantomData<&'a Pinned>,
}

impl<B: Bell> Pending<'_, B> {
    /// A request without targets.
    pub(super) fn done() -> Self {
        Pending {
            under_way: None,
            targets: 0,
            pinned: PhantomData,
        }
    }

    /// Waits until every target has run the request (MAIL-4). If it was followed by another of this CPU's in the same
    /// class, waits for that too. Panics if a target does not answer at all.
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
        under_way.is_none_or(|(_, lane)| lane.record.is_finished())
    }
}

impl<B: Bell> Drop for Pending<'_, B> {
    #[inline]
    fn drop(&mut self) {
        if let Some((mailboxes, lane)) = self.under_way
            && !lane.record.is_finished()
        {
            mailboxes.wait_until_finished(lane);
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
