//! Shaken time slices (`shake=SEED` on the boot line): while a CPU is busy its timer fires again and again at distances
//! by chance, of 1 to 20 microseconds, whatever runs, and each time the turn of the running thread is over.
//!
//! It is there to find what is wrong in one order of events out of many. In user mode a shake ends the turn at once, in
//! the kernel on the way out or at the next point where a thread pauses. That it also delays this CPU for a moment, in
//! the middle of whatever the kernel does, is half of its use: other CPUs go on meanwhile. Where instructions are
//! counted (`run-smp.sh --icount`), moreover, the emulator lets one CPU run until the next timer of any fires, and then
//! the next CPU. So a seed is an order, and gives the same one again.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mm::NoMemory;
use smp::apic;
use smp::percpu::PerCpu;
use smp::pin::Pinned;

const SHORTEST_NS: u64 = 1_000;
const LONGEST_NS: u64 = 20_000;

static IS_ON: AtomicBool = AtomicBool::new(false);
/// Each CPU's numbers by chance. Written by their own CPU only.
static CHANCE: PerCpu<AtomicU64> = PerCpu::new();

/// Shakes all time slices from now on, the same way for the same seed. Call at boot, before any CPU is busy.
///
/// # Errors
/// [`NoMemory`].
pub fn start(possible_cpus: usize, seed: u64) -> Result<(), NoMemory> {
    CHANCE
        .init(possible_cpus, |cpu| {
            AtomicU64::new(scramble(seed).wrapping_add(cpu.index() as u64))
        })
        .map_err(|_| NoMemory)?;
    // Relaxed: set before other CPUs run.
    IS_ON.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether time slices are shaken.
#[inline]
pub(super) fn is_on() -> bool {
    // Relaxed: see `start`.
    IS_ON.load(Ordering::Relaxed)
}

/// How long until the next shake of this CPU. Only while it [`is_on`].
pub(super) fn distance_ns(pin: &Pinned) -> u64 {
    let chance = CHANCE.get(pin);
    // Relaxed: an interrupt in between gives the same distance twice, which does no harm.
    let next = chance
        .load(Ordering::Relaxed)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    chance.store(next, Ordering::Relaxed);
    distance_from(next)
}

/// For the timer's interrupt handler: the timer fires again before the note that it leaves has been served, if that
/// takes long.
#[inline]
pub(super) fn ring_again(pin: &Pinned) {
    if is_on() {
        apic::start_timer_ns(distance_ns(pin));
    }
}

/// A CPU that is not busy is not shaken.
pub(super) fn be_quiet() {
    if is_on() {
        apic::stop_timer();
    }
}

fn distance_from(number: u64) -> u64 {
    SHORTEST_NS + scramble(number) % (LONGEST_NS - SHORTEST_NS + 1)
}

/// Spreads a number over all bits. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
fn scramble(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{LONGEST_NS, SHORTEST_NS, distance_from};

    #[test]
    fn distances_are_from_1_to_20_microseconds_and_come_near_both() {
        let distances = || (0..10_000).map(distance_from);
        assert!(distances().all(|distance_ns| (SHORTEST_NS..=LONGEST_NS).contains(&distance_ns)));
        assert!(distances().any(|distance_ns| distance_ns < SHORTEST_NS + 100));
        assert!(distances().any(|distance_ns| distance_ns > LONGEST_NS - 100));
    }
}
