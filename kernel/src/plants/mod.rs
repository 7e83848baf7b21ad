//! Planted faults: mistakes of the kind that the checks of the kernel are there for, committed on purpose (`plant=NAME`
//! on the boot line), so that tests see each of them caught. `docs/reliability.md` says who catches which.
//!
//! Most are committed by a process of the kernel, which runs on CPU 1, or on CPU 0 if that is the only one; some by
//! process 1 on its first way to user mode. Both kernels have them: what the checked one finds at once, the usual one
//! finds when it hurts, or not at all.

mod locks;
mod memory;
mod stuck;

use proc::sched;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use smp::cpu::{self, CpuId};
use smp::cpu_set::CpuSet;
use spin::Once;

/// How long the machine runs before the fault.
const BEFORE_NS: u64 = 300_000_000;
const A_LITTLE_NS: u64 = 100_000_000;

struct Plant {
    name: &'static str,
    /// What is wrong.
    fault: &'static str,
    place: Place,
    commit: fn(),
}

/// Who commits a fault.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Place {
    /// A process of the kernel, on a CPU of its own if there are several.
    KernelProcess,
    /// Process 1, on its first way to user mode.
    WayToUserMode,
}

const PLANTS: [&[Plant]; 3] = [&locks::PLANTS, &stuck::PLANTS, &memory::PLANTS];

/// What process 1 is to do on its way to user mode.
static BEFORE_USER_MODE: Once<fn()> = Once::new();

/// Arranges for the fault `name` to be committed soon.
///
/// Needs: the process table.
pub(crate) fn plant(name: &str) {
    let mut plants = PLANTS.iter().copied().flatten();
    let Some(plant) = plants.find(|plant| plant.name == name) else {
        panic!("boot line: no planted fault is called {name}")
    };
    smp::log!("PLANTED FAULT {name}: {}", plant.fault);
    if plant.place == Place::WayToUserMode {
        BEFORE_USER_MODE.call_once(|| plant.commit);
        return;
    }
    let commit_later = || commit_elsewhere(plant.commit);
    if let Err(error) = spawn_kernel_process("plant", None, KernelSpace::Parents, commit_later) {
        panic!("cannot start the process that commits {name}: {error}");
    }
}

/// Commits what is planted on the way to user mode; called by process 1.
pub(crate) fn commit_before_user_mode() {
    if let Some(commit) = BEFORE_USER_MODE.get() {
        commit();
    }
}

/// Runs `function` on the boot CPU, a little later than what the caller does next.
fn meanwhile(function: fn()) {
    let later = move || {
        let moved =
            proc::affinity::set_affinity(&sched::current(), 0, &CpuSet::single(CpuId::BOOT));
        let slept = proc::sleep::sleep_ns(A_LITTLE_NS);
        if let (Ok(()), Ok(())) = (moved, slept) {
            function();
        }
        0
    };
    if let Err(error) = spawn_kernel_process("victim", None, KernelSpace::Parents, later) {
        panic!("cannot start the victim of a planted fault: {error}");
    }
}

fn commit_elsewhere(commit: fn()) -> i32 {
    let cpu = CpuId::new(1.min(cpu::count() - 1));
    let moved = proc::affinity::set_affinity(&sched::current(), 0, &CpuSet::single(cpu));
    let slept = proc::sleep::sleep_ns(BEFORE_NS);
    if let (Ok(()), Ok(())) = (moved, slept) {
        commit();
        smp::log!("the planted fault has been committed, and nobody has noticed yet");
        let _ = proc::sleep::sleep_ns(u64::MAX); // a process that ends would hide what it has left behind
    }
    0
}
