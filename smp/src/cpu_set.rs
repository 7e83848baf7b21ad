//! Sets of CPUs: a plain value, and one that CPUs change together.

use core::fmt;

use crate::cpu::{self, CpuId, MAX_CPUS};
use crate::sync::{AtomicU64, Ordering};

const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = MAX_CPUS / WORD_BITS;

fn word_of(cpu: CpuId) -> usize {
    cpu.index() / WORD_BITS
}

fn bit_of(cpu: CpuId) -> u64 {
    1 << (cpu.index() % WORD_BITS)
}

/// The bit of `cpu` if it is in the word at `place`, or none.
#[inline]
fn own_bit(place: usize, cpu: CpuId) -> u64 {
    if place == word_of(cpu) {
        bit_of(cpu)
    } else {
        0
    }
}

/// A set of CPUs.
// One is made for each shootdown, where zeroing the room for all possible CPUs would take longer than all the rest.
#[derive(Copy, Clone)]
pub struct CpuSet(Words);

#[derive(Copy, Clone)]
enum Words {
    /// The CPUs of the first word, and no other.
    First(u64),
    /// Any CPUs. The words at `used` and above are 0 and need not be looked at.
    All { words: [u64; WORDS], used: usize },
}

impl CpuSet {
    /// No CPU.
    // Not a constant: copying one would write the whole room.
    #[inline]
    pub const fn new() -> CpuSet {
        CpuSet(Words::First(0))
    }

    /// The CPUs that are up.
    pub fn all() -> CpuSet {
        CpuSet::first(cpu::count())
    }

    /// The CPUs `0..count`.
    pub fn first(count: usize) -> CpuSet {
        let word = |index: usize| {
            let bits = (count - index * WORD_BITS).min(WORD_BITS);
            u64::MAX >> (WORD_BITS - bits)
        };
        CpuSet::from_words((0..count.div_ceil(WORD_BITS)).map(word))
    }

    /// One CPU.
    pub fn single(cpu: CpuId) -> CpuSet {
        let mut set = CpuSet::new();
        set.insert(cpu);
        set
    }

    /// Adds `cpu`; true if it was not there.
    #[inline]
    pub fn insert(&mut self, cpu: CpuId) -> bool {
        let (word, bit) = (self.word_mut(word_of(cpu)), bit_of(cpu));
        let was = *word;
        *word = was | bit;
        was & bit == 0
    }

    /// Removes `cpu`; true if it was there.
    #[inline]
    pub fn remove(&mut self, cpu: CpuId) -> bool {
        let was_there = self.contains(cpu);
        if was_there {
            *self.word_mut(word_of(cpu)) &= !bit_of(cpu);
        }
        was_there
    }

    /// Whether `cpu` is in the set.
    #[inline]
    pub fn contains(&self, cpu: CpuId) -> bool {
        let word = self.used_words().get(word_of(cpu));
        word.is_some_and(|word| word & bit_of(cpu) != 0)
    }

    /// Whether no CPU is in the set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used_words().iter().all(|word| *word == 0)
    }

    /// How many CPUs are in the set.
    #[inline]
    pub fn count(&self) -> usize {
        self.used_words().iter().copied().map(count_bits).sum()
    }

    /// The CPUs of the set, ascending.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            words: self.used_words(),
            place: 0,
            left: self.used_words().first().copied().unwrap_or(0),
        }
    }

    /// The CPUs that are in both sets.
    pub fn intersection(&self, other: &CpuSet) -> CpuSet {
        let pairs = self.used_words().iter().zip(other.used_words());
        CpuSet::from_words(pairs.map(|(word, other)| word & other))
    }

    /// The CPUs that are in this set and not in `other`.
    pub fn difference(&self, other: &CpuSet) -> CpuSet {
        let others = other.used_words().iter().chain(core::iter::repeat(&0));
        let pairs = self.used_words().iter().zip(others);
        CpuSet::from_words(pairs.map(|(word, other)| word & !other))
    }

    /// The bits, 64 CPUs in a word, up to the last word that may have any: for masks that users read, and for APIC
    /// clusters.
    #[inline]
    pub fn used_words(&self) -> &[u64] {
        match &self.0 {
            Words::First(word) => core::slice::from_ref(word),
            Words::All { words, used } => &words[..*used],
        }
    }

    /// The set with these bits. Bits beyond [`MAX_CPUS`] are left out: they come from users.
    #[inline]
    pub fn from_words(words: impl IntoIterator<Item = u64>) -> CpuSet {
        let mut words = words.into_iter().take(WORDS);
        let mut set = CpuSet(Words::First(words.next().unwrap_or(0)));
        for (place, word) in words.enumerate() {
            if word != 0 {
                *set.word_mut(place + 1) = word;
            }
        }
        set
    }

    /// The word at this place, which is used from now on.
    #[inline]
    fn word_mut(&mut self, place: usize) -> &mut u64 {
        if place > 0
            && let Words::First(first) = self.0
        {
            self.make_room(first);
        }
        match &mut self.0 {
            Words::First(word) => word,
            Words::All { words, used } => {
                *used = (*used).max(place + 1);
                &mut words[place]
            }
        }
    }

    #[cold]
    fn make_room(&mut self, first: u64) {
        let mut words = [0; WORDS];
        words[0] = first;
        self.0 = Words::All { words, used: 1 };
    }
}

/// How many bits are set: few, as a rule, so one by one is quicker than without an instruction for it.
#[inline]
fn count_bits(mut word: u64) -> usize {
    let mut count = 0;
    while word != 0 {
        word &= word - 1;
        count += 1;
    }
    count
}

impl Default for CpuSet {
    fn default() -> CpuSet {
        CpuSet::new()
    }
}

impl PartialEq for CpuSet {
    fn eq(&self, other: &CpuSet) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for CpuSet {}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(CpuId::index))
            .finish()
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> CpuSet {
        let mut set = CpuSet::new();
        for cpu in cpus {
            set.insert(cpu);
        }
        set
    }
}

impl<'a> IntoIterator for &'a CpuSet {
    type Item = CpuId;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The CPUs of a [`CpuSet`], ascending.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    words: &'a [u64],
    place: usize,
    /// The bits of `words[place]` that are still to come.
    left: u64,
}

impl Iterator for Iter<'_> {
    type Item = CpuId;

    #[inline]
    fn next(&mut self) -> Option<CpuId> {
        while self.left == 0 {
            self.place += 1;
            self.left = *self.words.get(self.place)?;
        }
        let bit = self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(CpuId::new(self.place * WORD_BITS + bit))
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

    /// Whether [`load_after_publish`](AtomicCpuSet::load_after_publish) would find another CPU than `cpu`. Makes no
    /// set.
    #[inline]
    pub fn has_others_after_publish(&self, cpu: CpuId) -> bool {
        let others = |place: usize, word: &AtomicU64| {
            word.fetch_or(0, Ordering::SeqCst) & !own_bit(place, cpu)
        };
        let Some((first, rest)) = self.possible_words().split_first() else {
            return false;
        };
        // Up to 64 CPUs there is one word, and no loop.
        let others_in_first = others(0, first);
        if rest.is_empty() {
            return others_in_first != 0;
        }
        let places = rest.iter().enumerate();
        places.fold(others_in_first, |all, (place, word)| {
            all | others(place + 1, word)
        }) != 0
    }

    /// Adds those of the set as it is, other than `cpu`, to `others`: a set is too large to be handed around. Acquire
    /// as in [`load`](AtomicCpuSet::load).
    #[inline]
    pub fn add_others_to(&self, others: &mut CpuSet, cpu: CpuId) {
        for (place, word) in self.possible_words().iter().enumerate() {
            let bits = word.load(Ordering::Acquire) & !own_bit(place, cpu);
            if bits != 0 {
                *others.word_mut(place) |= bits;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::{AtomicCpuSet, CpuId, CpuSet, MAX_CPUS};

    fn any_cpu() -> impl Strategy<Value = CpuId> {
        // Close together often, so that removals hit.
        proptest::prop_oneof![0..4_usize, 60..68_usize, 0..MAX_CPUS].prop_map(CpuId::new)
    }

    fn members(set: &CpuSet) -> Vec<CpuId> {
        set.iter().collect()
    }

    proptest! {
        #[test]
        fn insertions_and_removals_agree_with_a_tree_set(steps in proptest::collection::vec((any::<bool>(), any_cpu()), 0..60)) {
            let (mut set, atomic, mut model) = (CpuSet::new(), AtomicCpuSet::new(), BTreeSet::new());
            for (insert, cpu) in steps {
                let changed = if insert { model.insert(cpu) } else { model.remove(&cpu) };
                prop_assert_eq!(if insert { set.insert(cpu) } else { set.remove(cpu) }, changed);
                prop_assert_eq!(if insert { atomic.fetch_insert(cpu) } else { atomic.fetch_remove(cpu) }, changed);
                prop_assert_eq!(set.contains(cpu), insert);
                prop_assert_eq!(atomic.contains(cpu), insert);
            }
            prop_assert_eq!(members(&set), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(atomic.load(), set);
            prop_assert_eq!(atomic.is_empty(), set.is_empty());
            prop_assert_eq!(atomic.load_after_publish(), set);
            for cpu in model.iter().copied().chain([CpuId::BOOT]) {
                let mut others = set;
                others.remove(cpu);
                prop_assert_eq!(atomic.has_others_after_publish(cpu), !others.is_empty());
                let mut loaded = CpuSet::new();
                atomic.add_others_to(&mut loaded, cpu);
                prop_assert_eq!(loaded, others);
            }
            prop_assert_eq!(CpuSet::from_words(set.used_words().iter().copied()), set);
            prop_assert_eq!(model.into_iter().collect::<CpuSet>(), set);
        }

        #[test]
        fn the_intersection_has_what_both_have_and_the_difference_the_rest(
            left in proptest::collection::btree_set(any_cpu(), 0..20),
            right in proptest::collection::btree_set(any_cpu(), 0..20),
        ) {
            let sets = [left.iter().copied().collect::<CpuSet>(), right.iter().copied().collect()];
            prop_assert_eq!(members(&sets[0].intersection(&sets[1])), left.intersection(&right).copied().collect::<Vec<_>>());
            prop_assert_eq!(members(&sets[0].difference(&sets[1])), left.difference(&right).copied().collect::<Vec<_>>());
        }

        #[test]
        fn the_first_cpus_are_those_below_the_count(count in 0..=MAX_CPUS) {
            prop_assert_eq!(members(&CpuSet::first(count)), (0..count).map(CpuId::new).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bits_beyond_the_largest_machine_are_left_out() {
        assert_eq!(CpuSet::from_words([u64::MAX; 100]), CpuSet::first(MAX_CPUS));
    }
}
