//! What the owners of `hunt` write, and what a reader may find of it.

use core::fmt;

use mm::addr::PAGE_SIZE;

use super::{MOST_PAGES, len_pages};

/// Which words of a page are used.
pub(super) const WORDS: [u64; 4] = [0, 77, 300, 511];

/// The bits of a pattern that say in which round it was written.
const ROUND_BITS: u32 = 40;

/// How far an owner is.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// A part of a round.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The pages are being mapped and written.
    Mapping = 0,
    /// The pattern is there.
    Written = 1,
    /// The pages are being unmapped.
    Removing = 2,
    /// That call has returned.
    Removed = 3,
}

impl Mark {
    pub(super) fn new(round: u64, step: Step) -> Mark {
        Mark(round * 4 + step as u64)
    }

    pub(super) fn from_bits(bits: u64) -> Mark {
        Mark(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn round(self) -> u64 {
        self.0 / 4
    }

    pub(super) fn is(self, step: Step) -> bool {
        self.0 % 4 == step as u64
    }
}

/// A word of a page of an owner.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) struct Place {
    owner: usize,
    page: u64,
    word: u64,
}

impl Place {
    /// The place of the word `WORDS[index]`.
    pub(super) fn new(owner: usize, page: u64, index: usize) -> Place {
        let word = WORDS.get(index).copied().unwrap_or(0);
        Place { owner, page, word }
    }

    /// A place of an owner in the shared space, on another CPU than the reader's if there is one.
    pub(super) fn choose(random: u64, reader: usize, cpus: usize) -> Place {
        let others = cpus.saturating_sub(1).max(1) as u64;
        let owner = (reader + 1 + (random % others) as usize) % cpus;
        let rest = random / others;
        Place::new(
            owner,
            rest % MOST_PAGES,
            (rest / MOST_PAGES) as usize % WORDS.len(),
        )
    }

    /// All places of an owner in a round.
    pub(super) fn all(owner: usize, round: u64) -> impl Iterator<Item = Place> {
        let pages = 0..len_pages(round);
        pages
            .flat_map(move |page| (0..WORDS.len()).map(move |index| Place::new(owner, page, index)))
    }

    pub(super) fn owner(self) -> usize {
        self.owner
    }

    /// In bytes from the start of the owner's pages.
    pub(super) fn offset(self) -> usize {
        self.page as usize * PAGE_SIZE + self.word as usize * size_of::<u64>()
    }

    /// What the owner writes there in a round. No two places have the same, nor two of the last 2^40 rounds.
    pub(super) fn pattern(self, round: u64) -> u64 {
        let place = (self.owner as u64 + 1) << 11 | self.page << 9 | self.word;
        place << ROUND_BITS | (round & ((1 << ROUND_BITS) - 1))
    }

    /// Whether a look may have found that (`None`: nothing is mapped there), between two marks of the owner. If
    /// shootdowns are deferred, what the owner has unmapped may be found until it maps its pages again.
    pub(super) fn may_hold(
        self,
        found: Option<u64>,
        before: Mark,
        after: Mark,
        is_deferred: bool,
    ) -> bool {
        if before == after && before.is(Step::Written) {
            let is_mapped = self.page < len_pages(before.round());
            return found == is_mapped.then(|| self.pattern(before.round()));
        }
        if before == after && before.is(Step::Removed) {
            let is_old = found == Some(self.pattern(before.round()));
            return found.is_none() || (is_deferred && is_old);
        }
        let first = match is_deferred {
            // While the owner is still mapping, the last round's pages may be there.
            true => before.round() - u64::from(before.is(Step::Mapping) && before.round() > 0),
            false => before.round() + u64::from(before.is(Step::Removed)),
        };
        match found {
            None | Some(0) => true,
            Some(pattern) => (first..=after.round()).any(|round| pattern == self.pattern(round)),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = ["mapping", "written", "removing", "removed"][(self.0 % 4) as usize];
        write!(f, "{step} in round {}", self.round())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { owner, page, word } = self;
        write!(f, "word {word} of page {page} of owner {owner}")
    }
}

/// What was found somewhere, for people.
pub(super) struct Found(pub(super) Option<u64>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("nothing"),
            Some(0) => f.write_str("zero"),
            Some(pattern) => match (pattern >> (ROUND_BITS + 11)).checked_sub(1) {
                Some(owner) => {
                    let round = pattern & ((1 << ROUND_BITS) - 1);
                    write!(f, "what owner {owner} wrote in round {round}")
                }
                None => write!(f, "{pattern:#x}"),
            },
        }
    }
}
