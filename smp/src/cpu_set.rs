//! Sets of CPUs: a plain value, and one that CPUs change together.

mod atomic;
#[cfg(test)]
mod tests;

use core::fmt;

pub use self::atomic::AtomicCpuSet;

use crate::cpu::{self, CpuId, MAX_CPUS};

const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = MAX_CPUS / WORD_BITS;

fn word_of(cpu: CpuId) -> usize {
    cpu.index() / WORD_BITS
}

fn bit_of(cpu: CpuId) -> u64 {
    1 << (cpu.index() % WORD_BITS)
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

    /// The set without `cpu`.
    pub fn without(mut self, cpu: CpuId) -> CpuSet {
        self.remove(cpu);
        self
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
        match &self.0 {
            Words::First(word) => *word == 0,
            Words::All { words, used } => words[..*used].iter().all(|word| *word == 0),
        }
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
        for (place, word) in (1..).zip(words) {
            set.add_word(place, word);
        }
        set
    }

    /// Adds the CPUs whose bits are set in `word`, the one at this place.
    #[inline]
    fn add_word(&mut self, place: usize, word: u64) {
        if word != 0 {
            *self.word_mut(place) |= word;
        }
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

    /// What `for_each` goes by: two plain loops, which are quicker than asking for one CPU after the other.
    #[inline]
    fn fold<A, F: FnMut(A, CpuId) -> A>(self, first: A, mut add: F) -> A {
        let (mut sum, mut left) = (first, self.left);
        for place in self.place.. {
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                sum = add(sum, CpuId::new(place * WORD_BITS + bit));
            }
            match self.words.get(place + 1) {
                Some(word) => left = *word,
                None => break,
            }
        }
        sum
    }
}
