//! The timer of a CPU: ticks while it is busy, and the deadlines of its sleepers.
//!
//! The hardware timer is one-shot and set to the next thing due: the tick if a thread runs, or the first sleeper. An
//! idle CPU has no tick, but looks at its queue about once a second: should the interrupt get lost that says that there
//! is something, that is how long it waits. At a tick the running thread's time is charged to it, its turn ends if
//! others wait, and now and then the queues are balanced.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mm::NoMemory;
use smp::percpu::CpuLocal;
use smp::pin::{self, Pinned};
use smp::{apic, time, watchdog};

use super::run_queue::RunQueue;
use super::{CPUS, Cpu, RUNNING, balance, place, shake};
use crate::sleep;

/// A CPU pulls from longer queues at one tick in so many, by chance: in step with the turns of threads it would always
/// be the same ones that wait then, and so move.
const TICKS_PER_BALANCE: u64 = 3;
const NEVER: u64 = u64::MAX;
/// How often an idle CPU looks.
const IDLE_PERIOD_NS: u64 = 1_000_000_000;
const DEFAULT_PERIOD_NS: u64 = 10_000_000;

/// The distance of ticks.
static PERIOD_NS: AtomicU64 = AtomicU64::new(DEFAULT_PERIOD_NS);
/// Cleared by `break=timer`: a tick then ends nobody's turn.
static PREEMPTION: AtomicBool = AtomicBool::new(true);
static CLOCKS: CpuLocal<Clock> = CpuLocal::new();

struct Clock {
    next_tick_ns: u64,
    /// When the hardware timer will fire; [`NEVER`] if it is not set.
    armed_ns: u64,
    /// Numbers without a pattern, for the balance.
    chance: u64,
}

pub(crate) fn init(possible_cpus: usize) -> Result<(), NoMemory> {
    let new_clock = |_| Clock {
        next_tick_ns: NEVER,
        armed_ns: NEVER,
        chance: 0,
    };
    CLOCKS.init(possible_cpus, new_clock).map_err(|_| NoMemory)
}

/// Sets how often the timer ticks on a busy CPU. Call at boot.
pub fn set_frequency_hz(frequency_hz: u64) {
    // Relaxed: set before there are threads.
    PERIOD_NS.store(
        1_000_000_000 / frequency_hz.clamp(1, 10_000),
        Ordering::Relaxed,
    );
}

/// The distance of ticks in nanoseconds.
pub(super) fn period_ns() -> u64 {
    // Relaxed: see `set_frequency_hz`.
    PERIOD_NS.load(Ordering::Relaxed)
}

/// Switches preemption off, for `break=timer`. Call at boot.
pub fn disable_preemption() {
    PREEMPTION.store(false, Ordering::Relaxed);
}

/// The CPU leaves idleness: from now on it ticks.
pub(super) fn start(pin: &Pinned) {
    let now = time::now_ns();
    CLOCKS.with(pin, |clock| {
        clock.next_tick_ns = now + period_ns();
        arm(clock, clock.next_tick_ns.min(next_shake_ns(pin, now)), now);
    });
}

/// The CPU becomes idle for the first time: from now on its timer is always set, and the watchdog on it.
pub(super) fn begin(pin: &Pinned) {
    let now = time::now_ns();
    watchdog::beat(pin, now);
    CLOCKS.with(pin, |clock| arm(clock, next_idle_look_ns(now), now));
}

/// When an idle CPU is to act on its timer next: to look at its queue, and for the watchdog.
fn next_idle_look_ns(now_ns: u64) -> u64 {
    let period_ns =
        watchdog::look_period_ns().map_or(IDLE_PERIOD_NS, |beat_ns| beat_ns.min(IDLE_PERIOD_NS));
    now_ns + period_ns
}

/// When a busy CPU is to be shaken next; [`NEVER`] if it is not.
fn next_shake_ns(pin: &Pinned, now_ns: u64) -> u64 {
    if shake::is_on() {
        now_ns + shake::distance_ns(pin)
    } else {
        NEVER
    }
}

/// A sleeper of this CPU is to be woken at `deadline_ns`.
pub(crate) fn arm_for_sleeper(pin: &Pinned, deadline_ns: u64) {
    CLOCKS.with(pin, |clock| arm(clock, deadline_ns, time::now_ns()));
}

/// Sets the hardware timer, unless it fires early enough as it is.
fn arm(clock: &mut Clock, deadline_ns: u64, now_ns: u64) {
    if deadline_ns < clock.armed_ns {
        clock.armed_ns = deadline_ns;
        apic::start_timer_ns(deadline_ns.saturating_sub(now_ns).max(1));
    }
}

/// Does what is due since the timer fired. True if the current thread's turn has ended.
pub(super) fn serve_timer(in_user_mode: bool) -> bool {
    mm::flush::limbo::serve_tick(mm::flush::Kernel);
    let pin = pin::pin();
    let now = time::now_ns();
    watchdog::beat(&pin, now);
    let busy = RUNNING.with_current(|thread| !thread.is_idle());
    let tick = CLOCKS.with(&pin, |clock| {
        clock.armed_ns = NEVER;
        let tick = busy && now >= clock.next_tick_ns;
        if tick {
            // A linear congruential generator, stirred by the clock; its upper bits are used.
            clock.chance = (clock.chance ^ now)
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(1);
            clock.next_tick_ns = now + period_ns();
        }
        tick.then_some(clock.chance >> 33)
    });
    if let Some(chance) = tick {
        serve_tick(&pin, in_user_mode, now, chance);
    }
    let turn_ends = (tick.is_some() || busy && shake::is_on()) && end_turn(&CPUS.get(&pin).queue);
    let first_sleeper_ns = sleep::wake_expired(&pin, now).unwrap_or(NEVER);
    CLOCKS.with(&pin, |clock| {
        let next_turn_ns = if busy {
            clock.next_tick_ns.min(next_shake_ns(&pin, now))
        } else {
            shake::be_quiet();
            next_idle_look_ns(now)
        };
        arm(clock, next_turn_ns.min(first_sleeper_ns), now);
    });
    turn_ends
}

/// One tick on a busy CPU.
fn serve_tick(pin: &Pinned, in_user_mode: bool, now_ns: u64, chance: u64) {
    let Cpu {
        queue, last_tick, ..
    } = CPUS.get(pin);
    RUNNING.with_current(|thread| {
        thread.charge(in_user_mode, period_ns());
        last_tick.note(thread.id(), now_ns);
    });
    if chance.is_multiple_of(TICKS_PER_BALANCE)
        && let Some(thread) = balance::pull(pin.cpu(), queue.len_racy(), chance / TICKS_PER_BALANCE)
    {
        queue.push(thread);
    }
}

/// The turn of a busy CPU's current thread is over. True if others wait for theirs.
fn end_turn(queue: &RunQueue) -> bool {
    let others_wait = queue.len_racy() != 0;
    if others_wait {
        place::wake_one_idle(queue);
    }
    others_wait && PREEMPTION.load(Ordering::Relaxed)
}
