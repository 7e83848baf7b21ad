//! A process of the storm: its first thread keeps the others going.

use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{Errno, Pid, WAIT_ANY, decode};
use programs::random::Random;
use ulib::mapping::{self, MapRequest};
use ulib::{Signal, file, process, signal, system_call};

use crate::draw::Drawer;
use crate::grinder::{Near, Process, thread_seed};
use crate::plan::Plan;
use crate::tally::{Protected, Tally};
use crate::{code, place};

/// How many threads make calls.
const THREADS: usize = 4;
/// One process in so many has the console.
const PROCESSES_PER_CONSOLE: u64 = 8;
/// After so many looks without a call a thread gets a signal: what it waits for may never come.
const PATIENCE_LOOKS: u32 = 3;

/// Where the threads' stacks are: at no address that is drawn.
const STACKS: usize = 0xffff_ac00_0123_0000;
const STACK_DISTANCE: usize = 1 << 24;
const STACK_LEN: usize = 4 * PAGE_SIZE;

/// What all processes of the storm are made of.
pub(crate) struct Storm<'a> {
    pub(crate) seed: u64,
    pub(crate) plan: &'a Plan,
    pub(crate) protected: &'a Protected,
    pub(crate) tally: &'a Tally,
}

/// What the threads of one process have.
struct Team<'a> {
    process: Process<'a>,
    /// For the thread in each place: where its sequence begins, and how many calls it has made.
    seeds: [AtomicU64; THREADS],
    progress: [AtomicUsize; THREADS],
}

/// The team of this process, for its threads, which get one argument only.
static TEAM: AtomicPtr<Team<'static>> = AtomicPtr::new(core::ptr::null_mut());

/// What is drawn in the process with this number.
pub(crate) fn drawer(number: u64) -> Drawer {
    Drawer {
        has_console: number.is_multiple_of(PROCESSES_PER_CONSOLE),
    }
}

/// Runs as the process with this number until it is killed.
///
/// # Errors
/// If there is no memory for it.
pub(crate) fn run(storm: &Storm<'_>, number: u64) -> Result<core::convert::Infallible, Errno> {
    let drawer = drawer(number);
    if !drawer.has_console {
        [abi::STDIN, abi::STDOUT, abi::STDERR]
            .into_iter()
            .try_for_each(file::close)?;
    }
    place::prepare();
    code::prepare();
    signal::handle_all(Some(code::handle))?;
    for place in 0..THREADS {
        mapping::map(&MapRequest::anonymous(STACK_LEN).at(stack_top(place) - STACK_LEN))?;
    }
    let team = Team {
        process: Process {
            plan: storm.plan,
            protected: storm.protected,
            counters: storm.tally.group(number as usize),
            drawer,
            near: Near::default(),
        },
        seeds: Default::default(),
        progress: Default::default(),
    };
    // Relaxed: there is one thread.
    TEAM.store((&raw const team).cast_mut().cast(), Ordering::Relaxed);
    let mut places: [Place; THREADS] = core::array::from_fn(Place::new);
    loop {
        for place in &mut places {
            place.look(&team, |number_in_place, generation| {
                thread_seed(storm.seed, number, number_in_place as u64, generation)
            });
        }
        team.process.end_oldest_child();
        // One is forgotten, or none.
        let _ = process::try_wait(WAIT_ANY);
        process::yield_now();
    }
}

/// A place for a thread of this process, as the first thread sees it.
struct Place {
    number: usize,
    /// The thread there, if there is one.
    tid: Option<Pid>,
    /// How many threads have been there.
    generation: u64,
    /// How many calls the thread had made, and at how many looks that has been so.
    seen: usize,
    looks: u32,
}

impl Place {
    fn new(number: usize) -> Place {
        Place {
            number,
            tid: None,
            generation: 0,
            seen: 0,
            looks: 0,
        }
    }

    /// Starts a thread if there is none, and disturbs one that does nothing.
    fn look(&mut self, team: &Team<'_>, seed: impl Fn(usize, u64) -> u64) {
        // Relaxed, here and below: a number that has changed or not.
        let progress = team.progress[self.number].load(Ordering::Relaxed);
        if progress != self.seen {
            (self.seen, self.looks) = (progress, 0);
            return;
        }
        self.looks += 1;
        match self.tid {
            Some(_) if self.looks < PATIENCE_LOOKS => return,
            Some(tid) if is_running(tid) => {
                // It may be in a handler.
                let _ = process::kill(tid, Signal::SIGUSR1);
            }
            _ => {
                team.seeds[self.number]
                    .store(seed(self.number, self.generation), Ordering::Relaxed);
                self.tid = create(self.number).ok();
                if let Some(tid) = self.tid {
                    self.generation += 1;
                    team.process.near.add_fellow(tid);
                }
            }
        }
        self.looks = 0;
    }
}

/// Whether a thread of this process has not ended. Joins it if it has, unless one of the calls has done that.
fn is_running(tid: Pid) -> bool {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::join_thread(tid) }) == Err(Errno::EAGAIN)
}

fn stack_top(place: usize) -> usize {
    STACKS + (place + 1) * STACK_DISTANCE
}

fn create(place: usize) -> Result<Pid, Errno> {
    let function = begin as *const () as usize;
    // A function expects to be called: with the place of a return address below a multiple of 16.
    let stack = stack_top(place) - size_of::<usize>();
    // SAFETY: the stack is that of a thread that has ended, or new.
    decode(unsafe { system_call::create_thread(function, place, stack) }).map(|tid| tid as Pid)
}

extern "C" fn begin(place: usize) -> ! {
    // SAFETY: stored before there were threads, on the stack of the first one, which never leaves the function.
    let team = unsafe { &*TEAM.load(Ordering::Relaxed) };
    // Relaxed: written before the thread was made.
    let random = Random::new(team.seeds[place].load(Ordering::Relaxed));
    team.process.grind(random, &team.progress[place])
}
