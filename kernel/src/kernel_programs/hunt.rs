//! `hunt [ROUNDS]`: nobody ever finds another owner's pattern in memory of his own.
//!
//! In a round an owner maps a few pages, finds them zero, writes its pattern, finds that again, and unmaps them. So
//! frames go round, through the allocator, among owners on all CPUs: half of them share one space, whose rounds are
//! counted, and the others have one each. Readers on all CPUs, and the owners there in between, look at the pages of
//! the shared space all the time, by translations that the owners take away again and again. A frame that is somebody
//! else's while a reader can still reach it shows the reader a foreign pattern.
//!
//! What a reader may find is known from the owner's mark, read before and after: of what rounds the pattern may be, or
//! must be, or that there is nothing.

mod pattern;
mod watcher;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use abi::Errno;
use crossbeam_utils::CachePadded;
use mm::addr::{PAGE_SIZE, UserRange, user_start};
use mm::error::SpaceError;
use mm::flush::{self, Strategy, limbo};
use mm::space::{Protection, Region, RegionFlags, Space};
use mm::user::UserPtr;
use proc::sched;
use smp::cpu::{self, CpuId};

use self::pattern::{Found, Mark, Place, Step};
use self::watcher::Watcher;
use super::team::{Common, Team};
use super::{FAILED, WRONG_USE, number};
use crate::device::console::say;

const USUAL_ROUNDS: u64 = 2000;
const MOST_ROUNDS: u64 = 1 << 40;
/// How many pages an owner has at most.
const MOST_PAGES: u64 = 4;
/// How many rounds an owner goes through, and how often a reader looks, before others may run on its CPU. Among them is
/// an owner in a space of its own: what the CPU knew of the shared space is lost then.
const TURN_ROUNDS: u64 = 8;
const TURN_LOOKS: u64 = 64;
/// How long an owner waits until somebody has looked at its pattern. In one of `PATIENT_EVERY` rounds it is what a host
/// takes to let another virtual CPU run.
const PATIENCE_NS: u64 = 2_000_000;
const PATIENT_EVERY: u64 = 32;
const IMPATIENCE_NS: u64 = 10_000;

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
    let changes = hunt.changes.load(Ordering::Relaxed);
    say!(
        "hunt: {rounds} rounds on {cpus} CPUs, {looks} looks by others, {changes} while something changed: no foreign pattern"
    );
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
        team.start("reader", &hunt.shared, cpu, move || reader.read(number))?;
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
    /// How many rounds have begun in the shared space.
    begun: AtomicU64,
    /// How far the owners are. Those of the shared space come first.
    marks: Box<[CachePadded<AtomicU64>]>,
    /// The last mark under which a reader has looked, for each owner of the shared space.
    seen: Box<[CachePadded<AtomicU64>]>,
    looks: AtomicU64,
    /// How often a reader was looking while the owner went on.
    changes: AtomicU64,
}

/// Where the pages of an owner lie.
fn place_of(owner: usize) -> usize {
    user_start().as_usize() + owner * MOST_PAGES as usize * PAGE_SIZE
}

/// How many pages an owner has in a round.
fn len_pages(round: u64) -> u64 {
    1 + round % MOST_PAGES
}

/// So many words, each in a cache line of its own.
fn words(len: usize) -> Result<Box<[CachePadded<AtomicU64>]>, Errno> {
    let mut words = Vec::new();
    words.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    words.resize_with(len, CachePadded::default);
    Ok(words.into_boxed_slice())
}

impl Hunt {
    fn new(rounds: u64, cpus: usize) -> Result<Arc<Hunt>, Errno> {
        Ok(mm::heap::try_arc(Hunt {
            common: Common::new("hunt", 3 * cpus),
            shared: Space::new()?,
            rounds,
            begun: AtomicU64::new(0),
            marks: words(2 * cpus)?,
            seen: words(cpus)?,
            looks: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        })?)
    }

    /// The owner's part: one round after the other, until those of the shared space have begun enough.
    fn own(&self, space: &Space, owner: usize) {
        self.common.meet();
        let mut watcher = (owner < cpu::count()).then(|| Watcher::new(self, owner));
        for round in 0.. {
            if self.common.is_over() || (watcher.is_some() && !self.begins_another()) {
                break;
            }
            if let Err(error) = self.round(space, owner, round, watcher.as_mut()) {
                self.common
                    .fail(format_args!("owner {owner} in round {round}: {error}"));
            }
            if round % TURN_ROUNDS == TURN_ROUNDS - 1 {
                sched::yield_now();
            }
        }
        self.common.end();
    }

    fn begins_another(&self) -> bool {
        // Relaxed: a count.
        self.begun.fetch_add(1, Ordering::Relaxed) < self.rounds
    }

    fn round(
        &self,
        space: &Space,
        owner: usize,
        round: u64,
        watcher: Option<&mut Watcher<'_>>,
    ) -> Result<(), Errno> {
        let is_by_region = round.is_multiple_of(2);
        let len = len_pages(round) as usize * PAGE_SIZE;
        let range = UserRange::page_aligned(place_of(owner), len)?;
        self.mark(owner, round, Step::Mapping);
        if is_by_region {
            let flags = RegionFlags::empty();
            space.add(Region::anonymous(range, Protection::WRITE, flags))?;
        } else {
            match space.page_alloc(range) {
                // As for a system call.
                Err(SpaceError::NoMemory) if limbo::drain_if_used() => space.page_alloc(range)?,
                allocated => allocated?,
            }
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
        if let Some(watcher) = watcher {
            let patience_ns = if round.is_multiple_of(PATIENT_EVERY) {
                PATIENCE_NS
            } else {
                IMPATIENCE_NS
            };
            watcher.look_until_seen(Mark::new(round, Step::Written), patience_ns);
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
    fn read(&self, reader: usize) {
        self.common.meet();
        let mut watcher = Watcher::new(self, reader);
        while !self.common.is_over() {
            (0..TURN_LOOKS).for_each(|_| watcher.look());
            sched::yield_now();
        }
    }

    fn look_at(&self, place: Place) {
        let before = self.mark_of(place.owner());
        let found = word(place).read().ok();
        // The look has ended before the mark is read again.
        fence(Ordering::SeqCst);
        let after = self.mark_of(place.owner());
        let is_deferred = flush::strategy() == Strategy::Deferred;
        if !place.may_hold(found, before, after, is_deferred) {
            smp::log!("hunt: a look between {before} and {after}");
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
