//! Which entries of a table are in use, in one word of the table's frame descriptor, so that searching, copying and
//! freeing skip the rest.
//!
//! The word holds how many entries are in use, and a range that contains them all: it grows with each new entry, and
//! starts afresh only when the table has become empty. It also holds the table's level, so that who has nothing but the
//! last reference of a table knows how to take it down.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use geometry::ENTRIES;

/// Bits 0 to 9: how many entries are in use, 0 to 512.
const COUNT_MASK: u32 = (1 << 10) - 1;
/// Bits 10 to 18: the distance of the lowest used entry from the last entry, so that 0 is "none yet".
const BELOW_LAST_SHIFT: u32 = 10;
/// Bits 19 to 27: the highest used entry.
const HIGHEST_SHIFT: u32 = 19;
/// Bits 28 and up: the level of the table.
const LEVEL_SHIFT: u32 = 28;
const INDEX_MASK: u32 = ENTRIES as u32 - 1;
const LAST: u32 = ENTRIES as u32 - 1;

/// What the word of a table says.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(super) struct Usage(u32);

impl Usage {
    /// What `word` says now. It can be stale at once if others fill entries at the same time.
    // Relaxed: the word guides a search and orders nothing. Whoever needs it exact has the table to himself, and got it
    // by taking the lock that guards it.
    #[inline]
    pub(super) fn of(word: &AtomicU32) -> Usage {
        Usage(word.load(Ordering::Relaxed))
    }

    /// Says in `word` that none of the entries of a table of `level` is in use. Nobody else has the table yet.
    #[inline]
    pub(super) fn reset(word: &AtomicU32, level: u32) {
        // Relaxed: publishing the entry that names the table orders this too.
        word.store(level << LEVEL_SHIFT, Ordering::Relaxed);
    }

    /// The level of the table.
    #[inline]
    pub(super) fn level(self) -> u32 {
        self.0 >> LEVEL_SHIFT
    }

    /// How many entries are in use.
    #[inline]
    pub(super) fn count(self) -> usize {
        (self.0 & COUNT_MASK) as usize
    }

    /// A range outside of which no entry is in use; empty (its start beyond its end) for an unused table.
    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        self.lowest() as usize..self.highest() as usize + 1
    }

    #[inline]
    fn lowest(self) -> u32 {
        LAST - self.below_last()
    }

    #[inline]
    fn below_last(self) -> u32 {
        (self.0 >> BELOW_LAST_SHIFT) & INDEX_MASK
    }

    #[inline]
    fn highest(self) -> u32 {
        (self.0 >> HIGHEST_SHIFT) & INDEX_MASK
    }

    /// With `count` more entries in use, from `lowest` to `highest`.
    #[inline]
    fn with(self, lowest: u32, highest: u32, count: u32) -> Usage {
        let mut bits = self.0 + count;
        if highest > self.highest() {
            bits = bits & !(INDEX_MASK << HIGHEST_SHIFT) | highest << HIGHEST_SHIFT;
        }
        let below_last = LAST - lowest;
        if below_last > self.below_last() {
            bits = bits & !(INDEX_MASK << BELOW_LAST_SHIFT) | below_last << BELOW_LAST_SHIFT;
        }
        Usage(bits)
    }

    /// Notes in `word` that the entry `index` has come into use. Several CPUs may fill entries of one table at a time.
    #[inline]
    pub(super) fn add(word: &AtomicU32, index: usize) {
        Usage::add_several(word, index, index, 1);
    }

    /// Notes in `word` that `count` entries, at least one, have come into use, of which `lowest` and `highest` are the
    /// first and the last.
    #[inline(always)]
    pub(super) fn add_several(word: &AtomicU32, lowest: usize, highest: usize, count: usize) {
        let lowest = lowest as u32 & INDEX_MASK;
        let highest = highest as u32 & INDEX_MASK;
        // Relaxed: as in `of`.
        let mut now = word.load(Ordering::Relaxed);
        loop {
            debug_assert!(Usage(now).count() + count <= ENTRIES);
            let new = Usage(now).with(lowest, highest, count as u32).0;
            match word.compare_exchange_weak(now, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
    }

    /// Notes in `word` that an entry has gone out of use, and says whether it was the last. The caller has the table to
    /// himself.
    #[inline]
    pub(super) fn remove(word: &AtomicU32) -> bool {
        Usage::remove_several(word, 1)
    }

    /// Notes in `word` that `count` entries have gone out of use, and says whether none is left. The caller has the
    /// table to himself.
    #[inline]
    pub(super) fn remove_several(word: &AtomicU32, count: usize) -> bool {
        // Relaxed, and not one read-modify-write: nobody else changes the word (see `of`).
        let now = word.load(Ordering::Relaxed);
        debug_assert!(Usage(now).count() >= count);
        let is_empty = Usage(now).count() == count;
        let left = if is_empty {
            now & !((1 << LEVEL_SHIFT) - 1)
        } else {
            now - count as u32
        };
        word.store(left, Ordering::Relaxed);
        is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;
    use core::sync::atomic::AtomicU32;

    fn word_with(indices: &[usize]) -> AtomicU32 {
        let word = AtomicU32::new(0);
        indices.iter().for_each(|&index| Usage::add(&word, index));
        word
    }

    #[test]
    fn an_unused_table_has_an_empty_range() {
        let usage = Usage::of(&word_with(&[]));
        assert_eq!((usage.count(), usage.range().count()), (0, 0));
    }

    #[test]
    fn the_range_covers_the_lowest_and_the_highest_entry() {
        for indices in [&[7, 300, 12][..], &[0], &[511], &[511, 0], &[256, 255]] {
            let usage = Usage::of(&word_with(indices));
            assert_eq!(usage.count(), indices.len());
            assert_eq!(
                usage.range().start,
                *indices.iter().min().unwrap(),
                "{indices:?}"
            );
            assert_eq!(
                usage.range().end - 1,
                *indices.iter().max().unwrap(),
                "{indices:?}"
            );
        }
    }

    #[test]
    fn a_full_table_counts_all_its_entries() {
        let all: Vec<usize> = (0..512).collect();
        let usage = Usage::of(&word_with(&all));
        assert_eq!((usage.count(), usage.range()), (512, 0..512));
    }

    #[test]
    fn the_range_starts_afresh_when_the_last_entry_is_gone_and_the_level_stays() {
        let word = AtomicU32::new(0);
        Usage::reset(&word, 5);
        [3, 500].iter().for_each(|&index| Usage::add(&word, index));
        assert_eq!(Usage::of(&word).level(), 5);
        assert!(!Usage::remove(&word));
        assert!(Usage::remove(&word));
        Usage::add(&word, 9);
        assert_eq!(
            (Usage::of(&word).range(), Usage::of(&word).level()),
            (9..10, 5)
        );
    }
}
