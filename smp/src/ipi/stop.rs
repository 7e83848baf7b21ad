//! Stopping all other CPUs, for a panic: when [`stop_other_cpus`] returns, no other CPU runs kernel or user code, except
//! those that it says it could not reach, and it is known where each one was.
//!
//! A CPU is stopped by an NMI, since it may have interrupts off. Its NMI handler calls [`enter_from_nmi`], which writes
//! down where the CPU was and halts it for ever. The one that panics waits for these notes, for a bounded time.
//!
//! - **STOP-1**: only one CPU stops the others. Who comes second is itself stopped, or stops itself.
//! - **STOP-2**: a place is written before its state says so, and never again.
//! - **STOP-3**: nothing here takes a lock, allocates or waits without bound: the machine is broken.
//!
//! An NMI that nobody here has sent comes from outside: somebody wants to know where a machine hangs, and every CPU gets
//! it. Each writes its place down before its handler panics, so the first of them finds the places of all.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crate::OutOfMemory;
use crate::apic;
use crate::cpu::{self, CpuId};
use crate::hw;
use crate::percpu::{self, PerCpu};
use crate::time::Deadline;

/// With 255 virtual CPUs on two host cores the last has its turn after a few seconds.
const LONGEST_WAIT_MS: u64 = 5000;

/// Where a CPU was when it was stopped.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Place {
    /// The instruction that it would have executed next.
    pub rip: usize,
    /// Its frame pointer: the innermost frame, if RIP is in the kernel.
    pub rbp: usize,
}

/// Where one CPU was, if it has said so.
struct Note {
    state: AtomicU32,
    rip: AtomicUsize,
    rbp: AtomicUsize,
}

const NOTE_EMPTY: u32 = 0;
const NOTE_WRITTEN: u32 = 1;

static NOTES: PerCpu<Note> = PerCpu::new();
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Makes room for what CPUs say when they are stopped. The boot CPU calls it before it starts others.
///
/// # Errors
/// [`OutOfMemory`].
pub fn init(possible_cpus: usize) -> Result<(), OutOfMemory> {
    NOTES.init(possible_cpus, |_| Note {
        state: AtomicU32::new(NOTE_EMPTY),
        rip: AtomicUsize::new(0),
        rbp: AtomicUsize::new(0),
    })
}

/// Stops every other CPU that is online, and waits until each has written its place, or five seconds. Returns false,
/// having done nothing, if another CPU is at it.
///
/// Called with interrupts off, since what runs afterwards has the machine for itself.
pub fn stop_other_cpus() -> bool {
    // AcqRel: one CPU wins (STOP-1); the others see in `enter_from_nmi` that it has.
    if STOPPING.swap(true, Ordering::AcqRel) {
        return false;
    }
    let mut targets = super::online();
    targets.remove(cpu::id_racy());
    for target in &targets {
        if let Some(block) = percpu::block_of(target) {
            // SAFETY: the CPU has said by `ipi::announce` that it handles NMIs.
            unsafe { apic::send_nmi(block.apic_id()) };
        }
    }
    // Before time has begun the deadline never passes, but then there is no other CPU either.
    let deadline = Deadline::after_ms(LONGEST_WAIT_MS);
    while targets.iter().any(|target| place_of(target).is_none()) && !deadline.has_passed() {
        hw::pause();
    }
    true
}

/// The CPUs other than this one that have said where they were, and where. The places are final once
/// [`stop_other_cpus`] has returned true.
pub fn stopped_cpus() -> impl Iterator<Item = (CpuId, Place)> {
    let this_cpu = cpu::id_racy();
    NOTES
        .iter()
        .filter(move |(cpu, _)| *cpu != this_cpu)
        .filter_map(|(cpu, _)| Some((cpu, place_of(cpu)?)))
}

/// The CPUs other than this one that should have stopped and have not said so.
pub fn unreachable_cpus() -> impl Iterator<Item = CpuId> {
    let this_cpu = cpu::id_racy();
    let online = super::online();
    NOTES
        .iter()
        .map(|(cpu, _)| cpu)
        .filter(move |cpu| *cpu != this_cpu && online.contains(*cpu) && place_of(*cpu).is_none())
}

/// What an NMI handler does: writes down where the CPU was, and halts it for ever if a CPU has asked for that.
///
/// It returns if nobody has asked. Then the NMI is from outside, and the handler is to panic.
pub fn enter_from_nmi(rip: usize, rbp: usize) {
    if NOTES.is_ready() {
        NOTES.of(cpu::id_racy()).write(Place { rip, rbp });
    }
    // Acquire pairs with the AcqRel in `stop_other_cpus`.
    if STOPPING.load(Ordering::Acquire) {
        halt_for_ever();
    }
}

#[cfg(target_os = "none")]
fn halt_for_ever() -> ! {
    loop {
        // SAFETY: stopping the CPU touches no memory.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

#[cfg(not(target_os = "none"))]
fn halt_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn place_of(cpu: CpuId) -> Option<Place> {
    NOTES.is_ready().then(|| NOTES.of(cpu))?.read()
}

impl Note {
    fn write(&self, place: Place) {
        // Relaxed: only the own CPU writes, and NMIs do not nest (STOP-2).
        if self.state.load(Ordering::Relaxed) == NOTE_WRITTEN {
            return;
        }
        self.rip.store(place.rip, Ordering::Relaxed);
        self.rbp.store(place.rbp, Ordering::Relaxed);
        // Release pairs with the Acquire in `read`.
        self.state.store(NOTE_WRITTEN, Ordering::Release);
    }

    fn read(&self) -> Option<Place> {
        // Acquire pairs with the Release in `write`.
        let written = self.state.load(Ordering::Acquire) == NOTE_WRITTEN;
        written.then(|| Place {
            rip: self.rip.load(Ordering::Relaxed),
            rbp: self.rbp.load(Ordering::Relaxed),
        })
    }
}
