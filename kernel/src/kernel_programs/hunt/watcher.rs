//! How `hunt` looks at the pages of others.

use core::sync::atomic::Ordering;

use smp::{cpu, time};

use super::Hunt;
use super::pattern::{Mark, Place, Step};

/// How often a place is looked at where nothing changes.
const LOOKS: u64 = 64;
/// One in so many places is watched although the owner has no pattern there at the moment: such a look takes long.
const RARELY: u64 = 16;

/// Who looks at one place again and again, until the owner has gone on and one more look has come after that. So the
/// CPU has a translation when it is taken away, and tries it then.
pub(super) struct Watcher<'a> {
    hunt: &'a Hunt,
    /// The number of the CPU.
    reader: usize,
    random: u64,
    watched: Option<Watched>,
}

struct Watched {
    place: Place,
    /// How far the owner was at the first look.
    since: Mark,
    looks_left: u64,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(hunt: &'a Hunt, reader: usize) -> Watcher<'a> {
        Watcher {
            hunt,
            reader,
            random: reader as u64,
            watched: None,
        }
    }

    /// Looks once.
    pub(super) fn look(&mut self) {
        let Some(watched) = self.watched.take().or_else(|| self.choose()) else {
            return;
        };
        let (hunt, owner) = (self.hunt, watched.place.owner());
        let has_changed = hunt.mark_of(owner) != watched.since;
        hunt.look_at(watched.place);
        // Relaxed: counts.
        hunt.looks.fetch_add(1, Ordering::Relaxed);
        if has_changed {
            hunt.changes.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(seen) = hunt.seen.get(owner) {
            // Relaxed: what a look finds is judged by the owner's marks; this is only for the owner's patience.
            seen.store(watched.since.bits(), Ordering::Relaxed);
        }
        self.watched = watched.again();
    }

    /// Looks until somebody has looked at what this owner has under its mark, so that there is a translation to take
    /// away; but not for ever.
    pub(super) fn look_until_seen(&mut self, mark: Mark, patience_ns: u64) {
        let Some(seen) = self.hunt.seen.get(self.reader) else {
            return;
        };
        let until_ns = time::now_ns() + patience_ns;
        // Relaxed: see `look`.
        while seen.load(Ordering::Relaxed) != mark.bits() && time::now_ns() < until_ns {
            self.look();
        }
    }

    fn choose(&mut self) -> Option<Watched> {
        // Source: D. Knuth, MMIX.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let place = Place::choose(self.random >> 33, self.reader, cpu::count());
        let since = self.hunt.mark_of(place.owner());
        let is_worth_it = since.is(Step::Written) || self.random.is_multiple_of(RARELY);
        is_worth_it.then_some(Watched {
            place,
            since,
            looks_left: LOOKS,
        })
    }
}

impl Watched {
    fn again(self) -> Option<Watched> {
        let looks_left = self.looks_left.checked_sub(1)?;
        Some(Watched { looks_left, ..self })
    }
}
