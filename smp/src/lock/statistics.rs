//! Counts of lock use, by rank, while they are switched on.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::rank::{Listed, Rank, RankInfo, TABLE};

/// How often locks of one rank were taken.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct LockStatistics {
    /// How often a lock was taken.
    pub acquisitions: u64,
    /// How often of those it was not free at first.
    pub contended: u64,
    /// How many reads found it not free.
    pub spins: u64,
}

#[derive(Debug)]
struct Counters {
    acquisitions: AtomicU64,
    contended: AtomicU64,
    spins: AtomicU64,
}

static KEPT: AtomicBool = AtomicBool::new(false);
static COUNTERS: [CachePadded<Counters>; TABLE.len()] = [const {
    CachePadded::new(Counters {
        acquisitions: AtomicU64::new(0),
        contended: AtomicU64::new(0),
        spins: AtomicU64::new(0),
    })
}; TABLE.len()];

// Relaxed throughout: counts guard nothing.

/// Switches the counting on or off.
pub fn set_statistics(kept: bool) {
    KEPT.store(kept, Ordering::Relaxed);
}

/// Sets all counts to 0. What others count meanwhile may be lost.
pub fn reset_statistics() {
    for counters in &COUNTERS {
        counters.acquisitions.store(0, Ordering::Relaxed);
        counters.contended.store(0, Ordering::Relaxed);
        counters.spins.store(0, Ordering::Relaxed);
    }
}

/// Whether the counting is on.
#[inline(always)]
pub fn are_statistics_kept() -> bool {
    KEPT.load(Ordering::Relaxed)
}

#[cold]
pub(super) fn acquired<R: Rank>() {
    COUNTERS[<R as Listed>::INDEX]
        .acquisitions
        .fetch_add(1, Ordering::Relaxed);
}

pub(super) fn contended<R: Rank>(spins: u64) {
    let counters = &COUNTERS[<R as Listed>::INDEX];
    counters.contended.fetch_add(1, Ordering::Relaxed);
    counters.spins.fetch_add(spins, Ordering::Relaxed);
}

/// The counts of every rank, ascending.
pub fn statistics() -> impl Iterator<Item = (RankInfo, LockStatistics)> {
    TABLE.iter().zip(&COUNTERS).map(|(rank, counters)| {
        let counts = LockStatistics {
            acquisitions: counters.acquisitions.load(Ordering::Relaxed),
            contended: counters.contended.load(Ordering::Relaxed),
            spins: counters.spins.load(Ordering::Relaxed),
        };
        (*rank, counts)
    })
}
