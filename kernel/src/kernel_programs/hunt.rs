//! `hunt [ROUNDS]`: nobody ever finds another owner's pattern in memory of his own.
//!
//! In a round an owner maps a few pages, finds them zero, writes its pattern, finds that again, and unmaps them. So frames
//! go round, through the allocator, among owners on all CPUs: half of them share one space, the others have one each.
//! Readers on all CPUs look at the pages of the shared space all the time, by translations that the owners take away
//! again and again. A frame that is somebody else's while a reader can still reach it shows the reader a foreign pattern.
//!
//! What a reader may find is known from the owner's mark, read before and after: of what rounds the pattern may be, or
//! must be, or that there is nothing.

mod pattern;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use abi::Errno;
use crossbeam_utils::CachePadded;
use mm::addr::{PAGE_SIZE, UserRange, user_start};
use mm::space::{Protection, Region, RegionFlags, Space};
use mm::user::UserPtr;
use proc::sched;
use smp::cpu::{self, CpuId};

use self::pattern::{Found, Mark, Place, Step, WORDS};
use super::team::{Common, Team};
use super::{FAILED, WRONG_USE, number, say};

const USUAL_ROUNDS: u64 = 2000;
const MOST_ROUNDS: u64 = 1 << 40;
/// How many pages an owner has at most.
const MOST_PAGES: u64 = 4;
/// How often a reader looks before others may run.
const LOOKS: u64 = 64;
/// One in so many looks that would go where an owner has no pattern at the moment is made.
const RARELY: u64 = 16;

pub(super) fn run(arguments: &str) -> i32 {
    match number(arguments, USUAL_ROUNDS) {
        Some(rounds @ 1..MOST_ROUNDS) => hunt(rounds).unwrap_or_else(|error| {
            say!("hunt: {error}");
            FAILED
        }),
        _ => {
            say!("usage: hunt [ROUNDS]");
            WRONG_USE
        }
    }
}

fn hunt(rounds: u64) -> Result<i32, Errno> {
    let cpus = cpu::count();
    let hunt = Hunt::new(rounds, cpus)?;
    let mut team = Team::new();
    let started = start_all(&hunt, &mut team, cpus);
    if started.is_err() {
        hunt.common.end();
    }
    let is_well = team.wait();
    started?;
    if !is_well || hunt.common.has_failed() {
        return Ok(FAILED);
    }
    // Relaxed: the threads have ended.
    let looks = hunt.looks.load(Ordering::Relaxed);
    say!("hunt: {rounds} rounds on {cpus} CPUs, {looks} looks by others: no foreign pattern");
    Ok(0)
}

/// On each CPU an owner and a reader in the shared space, and an owner alone in its own.
fn start_all(hunt: &Arc<Hunt>, team: &mut Team, cpus: usize) -> Result<(), Errno> {
    for number in 0..cpus {
        let cpu = CpuId::new(number);
        let (owner, reader, alone) = (hunt.clone(), hunt.clone(), hunt.clone());
        team.start("owner", &hunt.shared, cpu, move || {
            owner.own(&owner.shared, number);
        })?;
        team.start("reader", &hunt.shared, cpu, move || reader.look(number))?;
        let space = Space::new()?;
        let its_space = space.clone();
        team.start("alone", &space, cpu, move || {
            alone.own(&its_space, cpus + number);
        })?;
    }
    Ok(())
}

struct Hunt {
    common: Common,
    shared: Arc<Space>,
    rounds: u64,
    /// How many rounds have begun.
    begun: AtomicU64,
    /// How far the owners are. Those of the shared space come first.
    marks: Box<[CachePadded<AtomicU64>]>,
    looks: AtomicU64,
}

/// Where the pages of an owner lie.
fn place_of(owner: usize) -> usize {
    user_start().as_usize() + owner * MOST_PAGES as usize * PAGE_SIZE
}

/// How many pages an owner has in a round.
fn len_pages(round: u64) -> u64 {
    1 + round % MOST_PAGES
}

impl Hunt {
    fn new(rounds: u64, cpus: usize) -> Result<Arc<Hunt>, Errno> {
        let mut marks = Vec::new();
        marks
            .try_reserve_exact(2 * cpus)
            .map_err(|_| Errno::ENOMEM)?;
        marks.resize_with(2 * cpus, CachePadded::default);
        Ok(mm::heap::try_arc(Hunt {
            common: Common::new("hunt"),
            shared: Space::new()?,
            rounds,
            begun: AtomicU64::new(0),
            marks: marks.into_boxed_slice(),
            looks: AtomicU64::new(0),
        })?)
    }

    /// The owner's part: one round after the other, until enough have begun.
    fn own(&self, space: &Space, owner: usize) {
        for round in 0.. {
            // Relaxed: a count.
            if self.common.is_over() || self.begun.fetch_add(1, Ordering::Relaxed) >= self.rounds {
                break;
            }
            if let Err(error) = self.round(space, owner, round) {
                self.common
                    .fail(format_args!("owner {owner} in round {round}: {error}"));
            }
            sched::yield_now();
        }
        self.common.end();
    }

    fn round(&self, space: &Space, owner: usize, round: u64) -> Result<(), Errno> {
        let is_by_region = round.is_multiple_of(2);
        let len = len_pages(round) as usize * PAGE_SIZE;
        let range = UserRange::page_aligned(place_of(owner), len)?;
        self.mark(owner, round, Step::Mapping);
        if is_by_region {
            let flags = RegionFlags::empty();
            space.add(Region::anonymous(range, Protection::WRITE, flags))?;
        } else {
            space.page_alloc(range)?;
        }
        for place in Place::all(owner, round) {
            let found = word(place).read()?;
            if found != 0 {
                self.foreign(place, Some(found), "as the owner of a fresh page");
            }
            word(place).write(place.pattern(round))?;
        }
        self.mark(owner, round, Step::Written);
        self.expect_own(owner, round)?;
        if round.is_multiple_of(3) {
            space.move_frames(range)?;
            self.expect_own(owner, round)?;
        }
        self.mark(owner, round, Step::Removing);
        if is_by_region {
            space.remove(range)?;
        } else {
            space.page_free(range)?;
        }
        self.mark(owner, round, Step::Removed);
        Ok(())
    }

    fn expect_own(&self, owner: usize, round: u64) -> Result<(), Errno> {
        for place in Place::all(owner, round) {
            let found = word(place).read()?;
            if found != place.pattern(round) {
                self.foreign(place, Some(found), "as the owner");
            }
        }
        Ok(())
    }

    fn mark(&self, owner: usize, round: u64, step: Step) {
        if let Some(mark) = self.marks.get(owner) {
            // Release pairs with the Acquire in `mark_of`: who sees the mark comes after what the owner did before it.
            mark.store(Mark::new(round, step).bits(), Ordering::Release);
        }
    }

    fn mark_of(&self, owner: usize) -> Mark {
        let mark = self.marks.get(owner);
        // Acquire: see `mark`.
        Mark::from_bits(mark.map_or(0, |mark| mark.load(Ordering::Acquire)))
    }

    /// The reader's part.
    fn look(&self, reader: usize) {
        let owners = cpu::count() as u64;
        let mut random = reader as u64;
        while !self.common.is_over() {
            let mut looks = 0;
            while looks < LOOKS && !self.common.is_over() {
                // Source: D. Knuth, MMIX.
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let choice = random >> 33;
                let page = choice / owners % MOST_PAGES;
                let index = (choice / owners / MOST_PAGES) as usize % WORDS.len();
                let place = Place::new((choice % owners) as usize, page, index);
                // Where nothing is, a look takes much longer.
                if self.mark_of(place.owner()).is(Step::Written) || random.is_multiple_of(RARELY) {
                    self.look_at(place);
                    looks += 1;
                }
            }
            // Relaxed: a count.
            self.looks.fetch_add(looks, Ordering::Relaxed);
            sched::yield_now();
        }
    }

    fn look_at(&self, place: Place) {
        let before = self.mark_of(place.owner());
        let found = word(place).read().ok();
        // The look has ended before the mark is read again.
        fence(Ordering::SeqCst);
        let after = self.mark_of(place.owner());
        if !place.may_hold(found, before, after) {
            self.foreign(place, found, "as a reader");
        }
    }

    #[cold]
    fn foreign(&self, place: Place, found: Option<u64>, who: &str) {
        let (cpu, found) = (cpu::id_racy().index(), Found(found));
        self.common
            .fail(format_args!("CPU {cpu}, {who}, found in {place} {found}"));
    }
}

/// The word at a place.
fn word(place: Place) -> UserPtr<u64> {
    UserPtr::new(place_of(place.owner()) + place.offset())
}
