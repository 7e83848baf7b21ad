//! The mailboxes of all CPUs, and what senders and receivers do with them.
//!
//! It is a value passed by reference, so that tests and loom models run this code with machines of their own.
//!
//! Here is how a request is sent; `serve.rs` has how it is run, `pending.rs` how its sender waits.

mod pending;
mod serve;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crossbeam_utils::CachePadded;

pub use self::pending::Pending;

use super::record::Record;
use super::{LIST_MAX, Request};
use crate::OutOfMemory;
use crate::cpu::{CpuId, MAX_CPUS};
use crate::cpu_set::CpuSet;
use crate::irq::{self, IrqOff};
use crate::pin::Pinned;
use crate::sync::{AtomicU64, Ordering};

const WORD_BITS: usize = u64::BITS as usize;

/// How CPUs are interrupted.
pub trait Bell {
    /// Interrupts each CPU of `targets`, so that it serves what it is asked for.
    fn ring(&self, targets: &CpuSet, off: &IrqOff);
}

/// The mailbox of one CPU.
struct Mailbox {
    /// What this CPU asks others for.
    record: Record,
    /// Who asks this CPU: a bit for each sender.
    inbox: [AtomicU64; MAX_CPUS / WORD_BITS],
}

impl Mailbox {
    fn new() -> Mailbox {
        Mailbox {
            record: Record::new(),
            inbox: [const { AtomicU64::new(0) }; MAX_CPUS / WORD_BITS],
        }
    }
}

/// The mailboxes of the CPUs `0..len`.
pub struct Mailboxes<B: Bell> {
    boxes: Box<[CachePadded<Mailbox>]>,
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
        boxes.resize_with(possible_cpus, || CachePadded::new(Mailbox::new()));
        Ok(Mailboxes {
            boxes: boxes.into_boxed_slice(),
            inbox_words: possible_cpus.div_ceil(WORD_BITS),
            bell,
        })
    }

    /// Asks each CPU of `targets`, which are others than the caller's, for `request`. Waits first if this CPU's earlier
    /// request is still under way (MAIL-1).
    #[inline(always)]
    pub fn send<'a>(
        &'a self,
        pin: &'a Pinned,
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
        let own = self.mailbox(sender);
        let mut off = irq::disable();
        // As long as interrupts are on, a handler may send a request of its own.
        while !own.record.is_finished() {
            drop(off);
            self.wait_until_finished(own);
            off = irq::disable();
        }
        // SAFETY: the record is our CPU's, the check and this have interrupts off.
        unsafe { own.record.fill(request, count as u32) };
        let (word, bit) = place_of(sender);
        // Those that are not rung at.
        let mut spared = None;
        targets.iter().for_each(|target| {
            // Our bit is not set (MAIL-2), so adding it sets it. Release pairs with the Acquire in `serve_senders`: the
            // target sees the record.
            if self.mailbox(target).inbox[word].fetch_add(bit, Ordering::Release) != 0 {
                // MAIL-3: another sender's ring is on its way.
                spared.get_or_insert_with(CpuSet::new).insert(target);
            }
        });
        match &spared {
            None => self.bell.ring(targets, &off),
            Some(spared) => self.ring_the_rest(targets, spared, &off),
        }
        drop(off);
        Pending::new(self, own, count)
    }

    /// Rings at those of `targets` that are not in `spared`.
    #[cold]
    fn ring_the_rest(&self, targets: &CpuSet, spared: &CpuSet, off: &IrqOff) {
        let rest = targets.difference(spared);
        if !rest.is_empty() {
            self.bell.ring(&rest, off);
        }
    }

    /// Whether no request is under way, from any CPU: so it is when nobody has sent anything, or all have been
    /// answered.
    pub fn are_idle(&self) -> bool {
        // Relaxed: requests of which the caller does not know otherwise may begin or end at any time.
        self.boxes.iter().fold(true, |idle, mailbox| {
            let asked = mailbox
                .inbox
                .iter()
                .filter(|word| word.load(Ordering::Relaxed) != 0)
                .count();
            idle & mailbox.record.is_finished() & (asked == 0)
        })
    }

    #[inline(always)]
    fn mailbox(&self, cpu: CpuId) -> &Mailbox {
        &self.boxes[cpu.index()]
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
