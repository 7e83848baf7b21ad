//! What each CPU has done for shootdowns, counted.

use core::ops::AddAssign;
use core::sync::atomic::{AtomicU64, Ordering};

use smp::time;

use crate::flush::cpu_tlb::Flushed;

/// What one CPU has done for shootdowns since boot.
#[derive(Copy, Clone, Default, Eq, PartialEq, Debug)]
pub struct Counters {
    /// Shootdowns sent: changes of which other CPUs were told.
    pub sent: u64,
    /// How many CPUs were told, in all.
    pub targets: u64,
    /// Changes that took something away and of which no other CPU had to be told.
    pub avoided: u64,
    /// Translations flushed one by one, for its own changes and those of others.
    pub pages: u64,
    /// Flushes of everything, those of a switch between spaces not among them.
    pub full_flushes: u64,
    /// Requests of others answered.
    pub served: u64,
    /// Time spent waiting for answers, in nanoseconds.
    pub wait_ns: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.sent += other.sent;
        self.targets += other.targets;
        self.avoided += other.avoided;
        self.pages += other.pages;
        self.full_flushes += other.full_flushes;
        self.served += other.served;
        self.wait_ns += other.wait_ns;
    }
}

/// The counters of one CPU, which writes them alone; others may look.
///
/// What a thread counts and what an interrupt handler counts are different words. So no word is written by two at once,
/// and a load and a store do. Relaxed throughout: statistics.
#[derive(Debug)]
pub(super) struct OwnCounters {
    sent: AtomicU64,
    targets: AtomicU64,
    avoided: AtomicU64,
    wait_ticks: AtomicU64,
    by_thread: FlushCounters,
    served: AtomicU64,
    by_handler: FlushCounters,
}

/// Flushes of one CPU.
#[derive(Debug)]
struct FlushCounters {
    pages: AtomicU64,
    full: AtomicU64,
}

impl FlushCounters {
    const fn new() -> FlushCounters {
        FlushCounters {
            pages: AtomicU64::new(0),
            full: AtomicU64::new(0),
        }
    }

    #[inline]
    fn count(&self, flushed: Flushed) {
        match flushed {
            Flushed::Nothing => {}
            Flushed::Pages(pages) => add(&self.pages, pages as u64),
            Flushed::Everything => add(&self.full, 1),
        }
    }
}

#[inline]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(count),
        Ordering::Relaxed,
    );
}

impl OwnCounters {
    pub(super) const fn new() -> OwnCounters {
        OwnCounters {
            sent: AtomicU64::new(0),
            targets: AtomicU64::new(0),
            avoided: AtomicU64::new(0),
            wait_ticks: AtomicU64::new(0),
            by_thread: FlushCounters::new(),
            served: AtomicU64::new(0),
            by_handler: FlushCounters::new(),
        }
    }

    /// A thread tells `targets` CPUs of a change.
    #[inline]
    pub(super) fn count_sent(&self, targets: usize) {
        add(&self.sent, 1);
        add(&self.targets, targets as u64);
    }

    /// A thread has changed something of which no other CPU has to be told.
    #[inline]
    pub(super) fn count_avoided(&self) {
        add(&self.avoided, 1);
    }

    /// A thread has waited for so many [`time::ticks`].
    #[inline]
    pub(super) fn count_wait_ticks(&self, ticks: u64) {
        add(&self.wait_ticks, ticks);
    }

    /// A thread has flushed for its own change, or to catch up.
    #[inline]
    pub(super) fn count_flushed(&self, flushed: Flushed) {
        self.by_thread.count(flushed);
    }

    /// A request of another CPU has been served.
    #[inline]
    pub(super) fn count_served(&self, flushed: Flushed) {
        add(&self.served, 1);
        self.by_handler.count(flushed);
    }

    /// The counts as they are.
    pub(super) fn read(&self) -> Counters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            sent: of(&self.sent),
            targets: of(&self.targets),
            avoided: of(&self.avoided),
            pages: of(&self.by_thread.pages) + of(&self.by_handler.pages),
            full_flushes: of(&self.by_thread.full) + of(&self.by_handler.full),
            served: of(&self.served),
            wait_ns: time::ticks_to_ns(of(&self.wait_ticks)),
        }
    }
}
