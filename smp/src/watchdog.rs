//! The watchdog: no CPU is stuck for long without a report that shows where every CPU is.
//!
//! The guarantee, with the bound that [`bound_ns`] gives: the machine ends in a panic, which prints where each CPU is,
//! if
//!
//! - a CPU waits longer than the bound for a spin lock or for the answer of another CPU ([`crate::wait`]), or
//! - a CPU has interrupts off, or does not come to the end of what it does in the kernel, for longer than one and a
//!   half bounds, and one other CPU is not stuck itself.
//!
//! So the one who waits, and knows for what, speaks first. Where there is one CPU, or where all are stuck and none of
//! them waits, somebody outside has to ask by an NMI ([`crate::ipi::stop`]): the test harness does.
//!
//! Each CPU, idle or not, acts on its timer at least once in [`look_period_ns`]. It *beats* then, which counts a word
//! up in its own block, and now and then it *looks* at the word of its neighbour, the CPU with the next number.
//!
//! - **WATCH-1** a CPU beats only where it acts on its timer: on its way to user mode, where a thread of the kernel
//!   pauses, or in the idle loop. It can do none of these with interrupts off or a spin lock held. A long operation on
//!   memory beats as it gets on ([`progress`]).
//! - **WATCH-2** silence is counted in the watcher's own time ([`OwnTime`]): of the time between two looks two periods
//!   count at most. While a debugger or the host stops the machine nobody looks, and nobody is blamed for it.
//! - **WATCH-3** a CPU that has never beaten is not watched: it is still on its way up.
//! - **WATCH-4** while a CPU waits for a device, which may take its time, no time counts, for nobody ([`excuse`]): the
//!   reader of the console may have paused, and whoever wants to write then waits for a lock.
//!
//! It costs the tick a few instructions and an idle CPU a timer interrupt in each period; system calls, switches and
//! locks that are free cost what they did.

mod own_time;

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use own_time::OwnTime;

use crate::OutOfMemory;
use crate::cpu::{self, CpuId};
use crate::hw;
use crate::percpu::{self, CpuLocal, PerCpuBlock};
use crate::pin::Pinned;

const NS_PER_SECOND: u64 = crate::time::NS_PER_SECOND;
/// The bound with few CPUs.
const SHORTEST_BOUND_SECONDS: u64 = 10;
/// So many CPUs more than [`FEW_CPUS`] make the bound a second longer: virtual CPUs share the host's.
const CPUS_PER_SECOND: usize = 8;
const FEW_CPUS: usize = 8;
const LOOKS_PER_BOUND: u64 = 8;
const NEVER: u64 = u64::MAX;

/// [`NEVER`] if nothing is watched. Set by the boot CPU before it starts others.
static BOUND_NS: AtomicU64 = AtomicU64::new(SHORTEST_BOUND_SECONDS * NS_PER_SECOND);
/// How many CPUs watch each other.
static WATCHED: AtomicUsize = AtomicUsize::new(1);
static WATCHES: CpuLocal<Watch> = CpuLocal::new();
/// Counts up while some CPU waits for a device (WATCH-4).
static EXCUSES: AtomicU32 = AtomicU32::new(0);

/// Has the CPUs `0..cpus` watch each other, with a bound of `seconds`; if that is 0 nothing is watched. If it is not
/// given the bound is 10 seconds, and a second more for each 8 CPUs above 8. The boot CPU calls it before it starts
/// others.
///
/// # Errors
/// [`OutOfMemory`].
pub fn init(cpus: usize, seconds: Option<u64>) -> Result<(), OutOfMemory> {
    let bound_ns = match seconds.unwrap_or_else(|| usual_bound_seconds(cpus)) {
        0 => NEVER,
        seconds => seconds.saturating_mul(NS_PER_SECOND),
    };
    // Relaxed, both: no other CPU runs yet.
    BOUND_NS.store(bound_ns, Ordering::Relaxed);
    WATCHED.store(cpus, Ordering::Relaxed);
    WATCHES.init(cpus, |_| Watch::new())
}

fn usual_bound_seconds(cpus: usize) -> u64 {
    SHORTEST_BOUND_SECONDS + (cpus.saturating_sub(FEW_CPUS) / CPUS_PER_SECOND) as u64
}

/// How long a CPU may wait for another; `u64::MAX` if nothing is watched.
pub fn bound_ns() -> u64 {
    // Relaxed: see `BOUND_NS`.
    BOUND_NS.load(Ordering::Relaxed)
}

/// How long a CPU may take from one beat to the next, if CPUs watch each other.
pub fn look_period_ns() -> Option<u64> {
    let bound_ns = bound_ns();
    // Relaxed: see `BOUND_NS`.
    let is_on = bound_ns != NEVER && WATCHED.load(Ordering::Relaxed) > 1;
    is_on.then_some(bound_ns / LOOKS_PER_BOUND)
}

/// This CPU acts on its timer (WATCH-1). Looks at its neighbour if it is time to; panics if that is stuck.
#[inline]
pub fn beat(pin: &Pinned, now_ns: u64) {
    percpu::own_block(pin).beat();
    if let Some(period_ns) = look_period_ns() {
        WATCHES.with(pin, |watch| {
            if now_ns >= watch.next_look_ns {
                watch.next_look_ns = now_ns.saturating_add(period_ns);
                look(watch, neighbour_of(pin.cpu()), now_ns, period_ns);
            }
        });
    }
}

/// This CPU gets on with something long: frames come from the shared pool or go back to it, which memory bounds. It
/// counts as a beat.
pub fn progress() {
    hw::block().beat();
}

/// This CPU waits for a device (WATCH-4): to be called again and again while it does.
pub fn excuse() {
    // Relaxed: who misses one sees the next.
    EXCUSES.fetch_add(1, Ordering::Relaxed);
}

fn excuses() -> u32 {
    // Relaxed: see `excuse`.
    EXCUSES.load(Ordering::Relaxed)
}

fn neighbour_of(cpu: CpuId) -> CpuId {
    CpuId::new((cpu.index() + 1) % cpu::count())
}

#[cold]
fn look(watch: &mut Watch, neighbour: CpuId, now_ns: u64, period_ns: u64) {
    let Some(block) = percpu::block_of(neighbour) else {
        return;
    };
    let silent_ns = watch.look(block.beats(), now_ns, period_ns);
    if silent_ns > bound_ns() / 2 * 3 {
        report(neighbour, block, silent_ns);
    }
}

fn report(stuck: CpuId, block: &PerCpuBlock, silent_ns: u64) -> ! {
    let seconds = silent_ns / NS_PER_SECOND;
    // Relaxed: that CPU is stuck. A note is there if it has taken its timer's interrupt and not come to act on it.
    match block.notes.load(Ordering::Relaxed) {
        0 => panic!("watchdog: CPU {stuck} has had interrupts off for {seconds} seconds"),
        _ => panic!("watchdog: CPU {stuck} has not come out of the kernel for {seconds} seconds"),
    }
}

/// What a CPU knows of its neighbour.
#[derive(Debug)]
struct Watch {
    next_look_ns: u64,
    /// As last seen.
    beats: u32,
    silence: OwnTime,
}

impl Watch {
    const fn new() -> Watch {
        Watch {
            next_look_ns: 0,
            beats: 0,
            silence: OwnTime::new(),
        }
    }

    /// Looks at a neighbour that has beaten `beats` times, and says for how long it has been silent.
    fn look(&mut self, beats: u32, now_ns: u64, period_ns: u64) -> u64 {
        if beats != self.beats || beats == 0 {
            self.beats = beats;
            self.silence = OwnTime::new();
        }
        self.silence.count(now_ns, 2 * period_ns)
    }
}

#[cfg(test)]
mod tests;
