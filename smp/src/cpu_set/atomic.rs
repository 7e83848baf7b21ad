//! A set of CPUs that CPUs change together.

use core::fmt;

use super::{CpuSet, WORD_BITS, WORDS, bit_of, word_of};
use crate::cpu::{self, CpuId};
use crate::sync::{AtomicU64, Ordering};

/// The bit of `cpu` if it is in the word at `place`, or none.
#[inline]
fn own_bit(place: usize, cpu: CpuId) -> u64 {
    if place == word_of(cpu) {
        bit_of(cpu)
    } else {
        0
    }
}

/// A set of CPUs that several CPUs change at once, each word by itself.
///
/// Only the words that a possible CPU can be in are read (one, up to 64 CPUs).
pub struct AtomicCpuSet {
    words: [AtomicU64; WORDS],
}

impl AtomicCpuSet {
    /// No CPU.
    pub const fn new() -> AtomicCpuSet {
        AtomicCpuSet {
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Replaces the set, word by word.
    #[inline]
    pub fn store(&self, set: &CpuSet) {
        let words = set
            .used_words()
            .iter()
            .copied()
            .chain(core::iter::repeat(0));
        for (word, value) in self.possible_words().iter().zip(words) {
            // Release pairs with the Acquire of those who look.
            word.store(value, Ordering::Release);
        }
    }

    /// Adds `cpu`; true if it was not there. A SeqCst read-modify-write: it is a full barrier on x86, and what
    /// `load_after_publish` pairs with.
    #[inline]
    pub fn fetch_insert(&self, cpu: CpuId) -> bool {
        self.words[word_of(cpu)].fetch_or(bit_of(cpu), Ordering::SeqCst) & bit_of(cpu) == 0
    }

    /// Removes `cpu`; true if it was there. A SeqCst read-modify-write, like `fetch_insert`.
    #[inline]
    pub fn fetch_remove(&self, cpu: CpuId) -> bool {
        self.words[word_of(cpu)].fetch_and(!bit_of(cpu), Ordering::SeqCst) & bit_of(cpu) != 0
    }

    /// Whether `cpu` is in the set. Acquire pairs with the insertion that it sees.
    #[inline]
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.words[word_of(cpu)].load(Ordering::Acquire) & bit_of(cpu) != 0
    }

    /// Whether no CPU is in the set. Acquire pairs with the removals that it sees.
    #[inline]
    pub fn is_empty(&self) -> bool {
        let mut words = self.possible_words().iter();
        words.all(|word| word.load(Ordering::Acquire) == 0)
    }

    /// The set as it is, word by word. Acquire pairs with the insertions that it sees; one that is under way may be
    /// missed.
    #[inline]
    pub fn load(&self) -> CpuSet {
        CpuSet::from_words(
            self.possible_words()
                .iter()
                .map(|word| word.load(Ordering::Acquire)),
        )
    }

    /// The set as it is, for somebody who has just published something that its members must heed.
    ///
    /// A read-modify-write on the very words that `fetch_insert` changes. So for each CPU one of the two comes first:
    /// either this sees its bit, or its `fetch_insert` comes later and what it reads after that is what was published
    /// before this.
    #[inline]
    pub fn load_after_publish(&self) -> CpuSet {
        CpuSet::from_words(
            self.possible_words()
                .iter()
                .map(|word| word.fetch_or(0, Ordering::SeqCst)),
        )
    }

    /// Adds what [`load_after_publish`](AtomicCpuSet::load_after_publish) would find, without `cpu`, to `others`: a set is
    /// too large to be handed around.
    #[inline]
    pub fn add_others_after_publish(&self, others: &mut CpuSet, cpu: CpuId) {
        match self.possible_words() {
            // Up to 64 CPUs.
            [word] => others.add_word(0, word.fetch_or(0, Ordering::SeqCst) & !bit_of(cpu)),
            words => {
                for (place, word) in words.iter().enumerate() {
                    let word = word.fetch_or(0, Ordering::SeqCst);
                    others.add_word(place, word & !own_bit(place, cpu));
                }
            }
        }
    }

    #[inline]
    fn possible_words(&self) -> &[AtomicU64] {
        let last = (cpu::possible() - 1) / WORD_BITS;
        &self.words[..=last]
    }
}

impl Default for AtomicCpuSet {
    fn default() -> AtomicCpuSet {
        AtomicCpuSet::new()
    }
}

impl fmt::Debug for AtomicCpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.load(), f)
    }
}
