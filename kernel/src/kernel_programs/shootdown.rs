//! `shootdown [ROUNDS]`: no CPU uses a translation after the call that has taken it away has returned.
//!
//! Writers on all other CPUs store into one page all the time. One thread unmaps the page, takes the right to write away,
//! or moves it to another frame, in turn. What a writer does while the call is under way is not judged. From the moment
//! the call has returned, each store must fault, or, after a move, be found in the new frame.
//!
//! Under `break=shootdown` nobody is told, and a writer goes on using what it remembers.

mod phase;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use abi::Errno;
use crossbeam_utils::CachePadded;
use mm::addr::{PAGE_SIZE, UserRange, user_start};
use mm::error::SpaceError;
use mm::space::{Protection, Region, RegionFlags, Space};
use mm::user::UserPtr;
use proc::sched;
use smp::cpu::{self, CpuId};
use smp::wait::SpinWait;

use self::phase::{Change, Phase, Step};
use super::team::{Common, Team};
use super::{FAILED, WRONG_USE, number};
use crate::device::console::say;

const USUAL_ROUNDS: u64 = 100;
const MOST_ROUNDS: u64 = 1 << 28;
/// How often each writer tries in each phase.
const TRIES: u64 = 5;
/// The page has a word for each.
const MOST_WRITERS: usize = PAGE_SIZE / size_of::<u64>();

const RIGHTS: Protection = Protection::WRITE;

pub(super) fn run(arguments: &str) -> i32 {
    match number(arguments, USUAL_ROUNDS) {
        Some(rounds @ 1..MOST_ROUNDS) => hammer(rounds).unwrap_or_else(|error| {
            say!("shootdown: {error}");
            FAILED
        }),
        _ => {
            say!("usage: shootdown [ROUNDS]");
            WRONG_USE
        }
    }
}

fn hammer(rounds: u64) -> Result<i32, Errno> {
    // On one CPU the writer takes turns with the one who changes.
    let len = cpu::count().saturating_sub(1).clamp(1, MOST_WRITERS);
    let arena = Arena::new(len)?;
    let mut team = Team::new();
    let started = start_all(&arena, &mut team, rounds);
    if started.is_err() {
        arena.common.end();
    }
    let is_well = team.wait();
    started?;
    let [stores, faults] = arena.counts();
    if !is_well || arena.common.has_failed() {
        return Ok(FAILED);
    }
    say!(
        "shootdown: {rounds} rounds with {len} writers: {stores} stores, {faults} faults, none by an old translation"
    );
    Ok(0)
}

fn start_all(arena: &Arc<Arena>, team: &mut Team, rounds: u64) -> Result<(), Errno> {
    for number in 0..arena.writers.len() {
        let (arena, cpu) = (arena.clone(), CpuId::new((number + 1) % cpu::count()));
        let space = arena.space.clone();
        team.start("writer", &space, cpu, move || {
            arena.common.meet();
            arena.write(number);
        })?;
    }
    let (arena, space) = (arena.clone(), arena.space.clone());
    team.start("changer", &space, CpuId::BOOT, move || {
        arena.common.meet();
        arena.change(rounds);
    })
}

struct Arena {
    common: Common,
    space: Arc<Space>,
    page: UserRange,
    phase: AtomicU64,
    writers: Box<[CachePadded<Writer>]>,
}

#[derive(Default)]
struct Writer {
    /// The stamp of the last store that ended as it had to.
    judged: AtomicU64,
    stores: AtomicU64,
    faults: AtomicU64,
}

impl Arena {
    fn new(len: usize) -> Result<Arc<Arena>, Errno> {
        let mut writers = alloc::vec::Vec::new();
        writers.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        writers.resize_with(len, CachePadded::default);
        let arena = Arena {
            common: Common::new("shootdown", len + 1),
            space: Space::new()?,
            page: UserRange::page_aligned(user_start().as_usize(), PAGE_SIZE)?,
            phase: AtomicU64::new(Phase::new(0, Step::Undoing).bits()),
            writers: writers.into_boxed_slice(),
        };
        arena.map()?;
        Ok(mm::heap::try_arc(arena)?)
    }

    fn map(&self) -> Result<(), SpaceError> {
        let region = Region::anonymous(self.page, RIGHTS, RegionFlags::empty());
        self.space.add(region)
    }

    fn phase(&self) -> Phase {
        // Acquire pairs with the Release in `enter`: who sees a phase comes after what the changer did before it.
        Phase::from_bits(self.phase.load(Ordering::Acquire))
    }

    fn enter(&self, round: u64, step: Step) {
        self.phase
            .store(Phase::new(round, step).bits(), Ordering::Release);
    }

    /// The place of a writer's word.
    fn word(&self, number: usize) -> UserPtr<u64> {
        UserPtr::new(self.page.start().as_usize() + number * size_of::<u64>())
    }

    /// Stores all the time, and judges what comes of it.
    fn write(&self, number: usize) {
        let Some(writer) = self.writers.get(number) else {
            return;
        };
        let (mut last, mut count) = (self.phase(), 0);
        while !self.common.is_over() {
            let phase = self.phase();
            count = if phase == last { count + 1 } else { 1 };
            last = phase;
            let stamp = phase.stamp(count);
            let is_stored = self.word(number).write(stamp).is_ok();
            // The store has ended one way or the other before the phase is read again.
            fence(Ordering::SeqCst);
            if self.phase() == phase {
                self.judge(phase, is_stored);
                // Release pairs with the Acquire in `wait_for_writers`: who sees the stamp finds the store.
                writer.judged.store(stamp, Ordering::Release);
            }
            // Relaxed: read when the thread has ended.
            let counter = [&writer.faults, &writer.stores][usize::from(is_stored)];
            counter.fetch_add(1, Ordering::Relaxed);
            if count % (4 * TRIES) == 0 {
                // On the only CPU the changer comes next.
                sched::yield_now();
            }
        }
    }

    fn judge(&self, phase: Phase, is_stored: bool) {
        let (cpu, change) = (cpu::id_racy().index(), phase.change());
        match phase.must_succeed() {
            Some(false) if is_stored => self.common.fail(format_args!(
                "CPU {cpu} has written to the page after it was {change}"
            )),
            Some(true) if !is_stored => self.common.fail(format_args!(
                "CPU {cpu} could not write to the page although nothing forbids it"
            )),
            _ => {}
        }
    }

    /// Changes the page, and looks whether all have noticed.
    fn change(&self, rounds: u64) {
        let outcome = (0..rounds).try_for_each(|round| self.round(round));
        match outcome {
            Ok(()) => self.common.end(),
            Err(Stop::Over) => {}
            Err(Stop::Failed(error)) => self.common.fail(format_args!("the changer: {error}")),
        }
    }

    fn round(&self, round: u64) -> Result<(), Stop> {
        let (space, page) = (&self.space, self.page);
        let change = Change::of_round(round);
        self.enter(round, Step::Open);
        self.wait_for_writers(Phase::new(round, Step::Open))?;
        self.look_for_stores("new")?;

        self.enter(round, Step::Changing);
        match change {
            Change::Unmap => space.remove(page)?,
            Change::Protect => space.protect(page, Protection::empty())?,
            Change::Move => space.move_frames(page)?,
        }
        self.enter(round, Step::Changed);
        self.wait_for_writers(Phase::new(round, Step::Changed))?;
        if change == Change::Move {
            self.look_for_stores("moved")?;
        }

        self.enter(round, Step::Undoing);
        match change {
            Change::Unmap => self.map()?,
            Change::Protect => space.protect(page, RIGHTS)?,
            Change::Move => {}
        }
        Ok(())
    }

    /// Waits until each writer has tried often enough in `phase`.
    fn wait_for_writers(&self, phase: Phase) -> Result<(), Stop> {
        for writer in &self.writers {
            let mut wait = SpinWait::new();
            // Acquire: see `write`.
            while writer.judged.load(Ordering::Acquire) < phase.stamp(TRIES) {
                if self.common.is_over() {
                    return Err(Stop::Over);
                }
                if !wait.turn() {
                    return Err(Stop::Failed(Errno::ETIMEDOUT));
                }
                sched::yield_now();
            }
        }
        Ok(())
    }

    /// Looks, by this CPU's own translation, whether the stores are there that the writers have seen succeed.
    fn look_for_stores(&self, what: &str) -> Result<(), Stop> {
        for (number, writer) in self.writers.iter().enumerate() {
            let judged = writer.judged.load(Ordering::Acquire);
            let found = self.word(number).read().map_err(Errno::from)?;
            if found < judged {
                self.common.fail(format_args!(
                    "a store of writer {number} is not in the {what} page"
                ));
                return Err(Stop::Over);
            }
        }
        Ok(())
    }

    fn counts(&self) -> [u64; 2] {
        let sum = |counter: fn(&Writer) -> &AtomicU64| {
            let counts = self.writers.iter();
            // Relaxed: the threads have ended.
            counts
                .map(|writer| counter(writer).load(Ordering::Relaxed))
                .sum()
        };
        [sum(|writer| &writer.stores), sum(|writer| &writer.faults)]
    }
}

/// Why the changer stops before its time.
enum Stop {
    /// Somebody has found something wrong, and said so.
    Over,
    Failed(Errno),
}

impl<E: Into<Errno>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}
