//! One thread of the storm: one call after the other.

use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Pid, Sysno, decode};
use programs::random::Random;
use ulib::{Signal, process, system_call};

use crate::draw::{Draw, Drawer, Own, REMEMBERED, Value};
use crate::plan::Plan;
use crate::tally::{self, Class, Protected};

/// How many calls a process makes at most that one of the calls has forked.
const CHILD_CALLS_MAX: u64 = 48;

/// What the threads of one process share, and its children get a copy of.
pub(crate) struct Process<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) protected: &'a Protected,
    pub(crate) counters: &'a [AtomicU64],
    pub(crate) drawer: Drawer,
    pub(crate) near: Near,
}

/// What calls have returned.
#[derive(Default)]
pub(crate) struct Near {
    children: [AtomicI32; REMEMBERED as usize],
    fellows: [AtomicI32; REMEMBERED as usize],
    mappings: [AtomicUsize; REMEMBERED as usize],
    next: AtomicUsize,
}

/// How far down a process is from the one that the supervisor has started.
#[derive(Copy, Clone, Eq, PartialEq)]
enum Depth {
    First,
    Child,
}

impl Process<'_> {
    /// Makes calls for ever, and notes in `progress` how many.
    pub(crate) fn grind(&self, mut random: Random, progress: &AtomicUsize) -> ! {
        let mut count = 0_usize;
        loop {
            self.make_call(&mut random, Depth::First);
            count = count.wrapping_add(1);
            // Relaxed: who looks only wants to see a change.
            progress.store(count, Ordering::Relaxed);
        }
    }

    fn make_call(&self, random: &mut Random, depth: Depth) {
        let draw = self.drawer.draw(self.plan, random);
        if draw.call == Sysno::Fork && depth == Depth::Child {
            return;
        }
        let mut arguments = draw.arguments.map(|value| self.near.look_up(value));
        if draw.call == Sysno::Kill && self.protected.contains(arguments[0] as Pid) {
            arguments[1] = 0;
        }
        tally::count(self.counters, draw.call, Class::Made);
        // SAFETY: nothing is: whatever the call does to this process, the supervisor counts on nothing of it.
        let result = decode(unsafe { system_call::by_number(draw.call.number(), arguments) });
        tally::count(self.counters, draw.call, Class::of(result));
        if let Ok(value) = result {
            self.take_note(&draw, value);
        }
    }

    fn take_note(&self, draw: &Draw, value: usize) {
        match draw.call {
            Sysno::Fork if value == 0 => self.be_child(draw.child_seed),
            Sysno::Fork | Sysno::Spawn | Sysno::SpawnWith => {
                self.near.remember(&self.near.children, value as Pid);
            }
            Sysno::Map => {
                let next = self.near.next.fetch_add(1, Ordering::Relaxed);
                let mappings = &self.near.mappings;
                mappings[next % mappings.len()].store(value, Ordering::Relaxed);
            }
            Sysno::CreateThread | Sysno::CreateThreadRegisters => {
                self.near.remember(&self.near.fellows, value as Pid);
            }
            _ => {}
        }
    }

    /// Ends a child that one of the calls has made: it may wait for something that never comes.
    pub(crate) fn end_oldest_child(&self) {
        let child = self.near.oldest_child();
        if child > 0 && !self.protected.contains(child) {
            // It may have ended.
            let _ = process::kill(child, Signal::SIGKILL);
        }
    }

    /// What a process does that one of the calls has forked.
    fn be_child(&self, seed: u64) -> ! {
        let mut random = Random::new(seed);
        for _ in 0..random.below(CHILD_CALLS_MAX) {
            self.make_call(&mut random, Depth::Child);
        }
        process::exit(0)
    }
}

impl Near {
    pub(crate) fn add_fellow(&self, tid: Pid) {
        self.remember(&self.fellows, tid);
    }

    /// The child that will be forgotten next.
    fn oldest_child(&self) -> Pid {
        let next = self.next.load(Ordering::Relaxed);
        self.children[next % self.children.len()].load(Ordering::Relaxed)
    }

    fn remember(&self, places: &[AtomicI32], id: Pid) {
        // Relaxed: any of them will do.
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        places[next % places.len()].store(id, Ordering::Relaxed);
    }

    #[inline]
    fn look_up(&self, value: Value) -> usize {
        let own = match value {
            Value::Number(number) => return number,
            Value::Own(own) => own,
        };
        let id = match own {
            Own::Process => process::getpid(),
            Own::Thread => process::gettid(),
            Own::Parent => process::getppid(),
            Own::Neighbour(distance) => process::getpid() + Pid::from(distance),
            Own::Child(index) => self.children[usize::from(index)].load(Ordering::Relaxed),
            Own::Mapping(index) => {
                return self.mappings[usize::from(index)].load(Ordering::Relaxed);
            }
            Own::Fellow(index) => self.fellows[usize::from(index)].load(Ordering::Relaxed),
        };
        id as usize
    }
}

/// A seed that follows from another one.
pub(crate) fn derive(seed: u64, number: u64) -> u64 {
    Random::new(seed ^ Random::new(number).word()).word()
}

/// The seed of the sequence of one thread: by the number of its process, its place in there, and how many have been
/// there before.
pub(crate) fn thread_seed(seed: u64, process: u64, place: u64, generation: u64) -> u64 {
    derive(derive(derive(seed, process), place), generation)
}

/// Whether a result says that the caller is to try again.
pub(crate) fn is_for_now(errno: Errno) -> bool {
    matches!(errno, Errno::ENOMEM | Errno::EAGAIN)
}
