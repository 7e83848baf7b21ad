//! A process of the storm: its first thread keeps the others going.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{Errno, Pid, decode};
use programs::random::Random;
use ulib::mapping::{self, MapRequest};
use ulib::{Signal, process, system_call};

use crate::draw::Drawer;
use crate::grinder::{Near, Process, thread_seed};
use crate::plan::Plan;
use crate::tally::{Protected, Tally};
use crate::{code, place};

/// How many threads make calls.
pub(crate) const THREADS: usize = 4;
/// One process in so many has the console.
const PROCESSES_PER_CONSOLE: u64 = 8;
/// Where their stacks end, and how far from each other.
const STACKS: usize = 0xffff_ac00_0123_0000;
const STACK_DISTANCE: usize = 1 << 24;
const STACK_LEN: usize = 4 * PAGE_SIZE;
/// After so many looks without a call a thread gets a signal: what it waits for may never come.
const PATIENCE_LOOKS: u32 = 3;

/// Who can make calls, and how.
pub(crate) struct Storm<'a> {
    pub(crate) seed: u64,
    pub(crate) plan: &'a Plan,
    pub(crate) protected: &'a Protected,
    pub(crate) tally: &'a Tally,
}

/// A place for a thread of this process.
struct Slot {
    tid: Pid,
    generation: u64,
    /// What `progress` was, and for how many looks.
    seen: usize,
    looks: u32,
}

/// What one thread is started with.
struct Start {
    process: Process<'static>,
    slots: [StartSlot; THREADS],
}

struct StartSlot {
    seed: core::sync::atomic::AtomicU64,
    progress: AtomicUsize,
}

pub(crate) fn drawer(number: u64) -> Drawer {
    Drawer {
        has_console: number.is_multiple_of(PROCESSES_PER_CONSOLE),
    }
}

/// Runs as the process with this number until it is killed.
pub(crate) fn run(storm: &Storm<'_>, number: u64) -> i32 {
    // SAFETY: this process never leaves this function but by its end, so what its memory has a copy of stays.
    let storm: &'static Storm<'static> = unsafe { &*core::ptr::from_ref(storm).cast() };
    let drawer = drawer(number);
    if !drawer.has_console {
        for fd in 0..3 {
            let _ = ulib::file::close(fd);
        }
    }
    place::prepare();
    code::prepare();
    // SAFETY: the handler does nothing.
    unsafe { system_call::signal(code::handler()) };
    let start: &'static Start = Box::leak(Box::new(Start {
        process: Process {
            plan: storm.plan,
            protected: storm.protected,
            counters: storm.tally.group(number as usize),
            drawer,
            near: Near::default(),
        },
        slots: core::array::from_fn(|_| StartSlot {
            seed: 0.into(),
            progress: AtomicUsize::new(0),
        }),
    }));
    let _ = STARTED.compare_exchange(
        core::ptr::null_mut(),
        core::ptr::from_ref(start).cast_mut(),
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    for place in 0..THREADS {
        let request = MapRequest::anonymous(STACK_LEN).at(stack_top(place) - STACK_LEN);
        if mapping::map(&request).is_err() {
            return 0;
        }
    }
    let mut slots: [Slot; THREADS] = core::array::from_fn(|_| Slot {
        tid: 0,
        generation: 0,
        seen: 0,
        looks: 0,
    });
    loop {
        for (place, slot) in slots.iter_mut().enumerate() {
            let seed = |generation| thread_seed(storm.seed, number, place as u64, generation);
            slot.look(start, place, seed);
        }
        let child = start.process.near.oldest_child();
        if child > 0 && !storm.protected.contains(child) {
            let _ = process::kill(child, Signal::SIGKILL);
        }
        let _ = process::try_wait(abi::WAIT_ANY);
        process::yield_now();
    }
}

fn stack_top(place: usize) -> usize {
    STACKS + (place + 1) * STACK_DISTANCE
}

/// For the threads of this process.
static STARTED: core::sync::atomic::AtomicPtr<Start> =
    core::sync::atomic::AtomicPtr::new(core::ptr::null_mut());

impl Slot {
    /// Starts a thread if there is none, and disturbs one that does nothing.
    fn look(&mut self, start: &Start, place: usize, seed: impl Fn(u64) -> u64) {
        let progress = start.slots[place].progress.load(Ordering::Relaxed);
        if self.tid != 0 && progress != self.seen {
            (self.seen, self.looks) = (progress, 0);
            return;
        }
        self.looks += 1;
        if self.tid != 0 && self.looks < PATIENCE_LOOKS {
            return;
        }
        self.looks = 0;
        if self.tid != 0 && is_running(self.tid) {
            // It may be in a handler.
            let _ = process::kill(self.tid, Signal::SIGUSR1);
            return;
        }
        start.slots[place]
            .seed
            .store(seed(self.generation), Ordering::Relaxed);
        self.tid = create(place).unwrap_or(0);
        if self.tid != 0 {
            self.generation += 1;
            start.process.near.add_fellow(self.tid);
        }
    }
}

/// Whether a thread of this process has not ended. Joins it if it has, unless one of the calls has done that.
fn is_running(tid: Pid) -> bool {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::join_thread(tid) }) == Err(Errno::EAGAIN)
}

fn create(place: usize) -> Result<Pid, Errno> {
    let function = begin as *const () as usize;
    // A function expects that it was called.
    let stack = stack_top(place) - size_of::<usize>();
    // SAFETY: the stack is that of a thread that has ended, or new.
    decode(unsafe { system_call::create_thread(function, place, stack) }).map(|tid| tid as Pid)
}

extern "C" fn begin(place: usize) -> ! {
    // SAFETY: stored before there were threads, and never taken away.
    let start = unsafe { &*STARTED.load(Ordering::Relaxed) };
    let slot = &start.slots[place];
    // Relaxed: written before the thread was made.
    start.process.grind(
        Random::new(slot.seed.load(Ordering::Relaxed)),
        &slot.progress,
    )
}
