//! Stopping all other CPUs, for a panic: when [`stop_other_cpus`] returns, no other CPU runs kernel or user code,
//! except those that it says it could not reach, and it is known where each one was.
//!
//! A CPU is stopped by an NMI, since it may have interrupts off. Its NMI handler calls [`enter_from_nmi`], which writes
//! down where the CPU was and halts it for ever. The one that panics waits for these notes, for a bounded time.
//!
//! - **STOP-1**: only one CPU stops the others. Who comes second is itself stopped, or stops itself.
//! - **STOP-2**: a place is written before its state says so, and never again.
//! - **STOP-3**: nothing here takes a lock, allocates or waits without bound: the machine is broken.
//!
//! An NMI that nobody here has sent comes from outside: somebody wants to know where a machine hangs, and every CPU
//! gets it. Each writes its place down before its handler panics, so the first of them finds the places of all.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::OutOfMemory;
use crate::apic;
use crate::cpu::{self, CpuId};
use crate::cpu_set::CpuSet;
use crate::hw;
use crate::ipi::online;
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

static STOP: Stop = Stop::new();

/// Makes room for what CPUs say when they are stopped. The boot CPU calls it before it starts others.
///
/// # Errors
/// [`OutOfMemory`].
pub fn init(possible_cpus: usize) -> Result<(), OutOfMemory> {
    STOP.notes.init(possible_cpus, |_| Note::new())
}

/// Stops every other CPU that is online, and waits until each has written its place, or five seconds.
///
/// Called with interrupts off, since what runs afterwards has the machine for itself. Only a CPU that is not online
/// itself stops nobody: its local APIC may not be on yet.
///
/// # Errors
/// Who is at it already; then nothing has been done.
pub fn stop_other_cpus() -> Result<(), CpuId> {
    let deadline = Deadline::after_ms(LONGEST_WAIT_MS);
    STOP.stop(cpu::id_racy(), &targets(), deadline, |target| {
        if let Some(block) = percpu::block_of(target) {
            // SAFETY: the CPU has said by `ipi::announce` that it handles NMIs.
            unsafe { apic::send_nmi(block.apic_id()) };
        }
    })
}

/// Whom this CPU stops.
fn targets() -> CpuSet {
    let (this_cpu, online) = (cpu::id_racy(), online());
    if online.contains(this_cpu) {
        online.without(this_cpu)
    } else {
        CpuSet::new()
    }
}

/// The CPUs that have said where they were, and where: this one is among them if it panics since an NMI came from
/// outside. The places are final once [`stop_other_cpus`] has stopped them.
pub fn stopped_cpus() -> impl Iterator<Item = (CpuId, Place)> {
    let notes = STOP.notes.iter();
    notes.filter_map(|(cpu, note)| Some((cpu, note.read()?)))
}

/// The CPUs other than this one that should have stopped and have not said so.
pub fn unreachable_cpus() -> CpuSet {
    targets()
        .iter()
        .filter(|cpu| STOP.place_of(*cpu).is_none())
        .collect()
}

/// What an NMI handler does: writes down where the CPU was, and halts it for ever if another CPU has asked for that.
///
/// If nobody has asked, the NMI is from outside, and it returns true: the handler is to panic. On the CPU that stops the
/// others it returns false: that one is reporting a panic already, and goes on.
pub fn enter_from_nmi(rip: usize, rbp: usize) -> bool {
    let this_cpu = cpu::id_racy();
    match STOP.note_down(this_cpu, Place { rip, rbp }) {
        None => true,
        Some(stopper) if stopper == this_cpu => false,
        Some(_) => halt_for_ever(),
    }
}

/// The state of a stop.
struct Stop {
    /// The CPU that stops the others, plus one; 0 as long as none does.
    stopper: AtomicUsize,
    notes: PerCpu<Note>,
}

impl Stop {
    const fn new() -> Stop {
        Stop {
            stopper: AtomicUsize::new(0),
            notes: PerCpu::new(),
        }
    }

    /// Stops `targets` for `stopper`, and waits for their notes.
    ///
    /// # Errors
    /// Who does so already (STOP-1).
    fn stop(
        &self,
        stopper: CpuId,
        targets: &CpuSet,
        deadline: Deadline,
        send_nmi: impl Fn(CpuId),
    ) -> Result<(), CpuId> {
        // AcqRel: one CPU wins; the others see in `note_down` that it has.
        let won = self.stopper.compare_exchange(
            0,
            stopper.index() + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if let Err(first) = won {
            return Err(CpuId::new(first - 1));
        }
        targets.iter().for_each(send_nmi);
        // Before time has begun the deadline never passes, but then there is no other CPU either.
        while targets.iter().any(|target| self.place_of(target).is_none()) && !deadline.has_passed()
        {
            hw::pause();
        }
        Ok(())
    }

    /// Writes down where `cpu`, which runs this, was. Returns who stops the others, if somebody does.
    fn note_down(&self, cpu: CpuId, place: Place) -> Option<CpuId> {
        // Acquire pairs with the AcqRel in `stop`.
        let stopper = self.stopper.load(Ordering::Acquire);
        let stopper = stopper.checked_sub(1).map(CpuId::new);
        if stopper != Some(cpu) && self.notes.is_ready() {
            self.notes.of(cpu).write(place);
        }
        stopper
    }

    fn place_of(&self, cpu: CpuId) -> Option<Place> {
        self.notes.is_ready().then(|| self.notes.of(cpu))?.read()
    }
}

/// Where one CPU was, if it has said so.
#[derive(Debug)]
struct Note {
    state: AtomicU32,
    rip: AtomicUsize,
    rbp: AtomicUsize,
}

const EMPTY: u32 = 0;
const WRITTEN: u32 = 1;

impl Note {
    const fn new() -> Note {
        Note {
            state: AtomicU32::new(EMPTY),
            rip: AtomicUsize::new(0),
            rbp: AtomicUsize::new(0),
        }
    }

    fn write(&self, place: Place) {
        // Relaxed: only the own CPU writes, and NMIs do not nest (STOP-2).
        if self.state.load(Ordering::Relaxed) == WRITTEN {
            return;
        }
        self.rip.store(place.rip, Ordering::Relaxed);
        self.rbp.store(place.rbp, Ordering::Relaxed);
        // Release pairs with the Acquire in `read`.
        self.state.store(WRITTEN, Ordering::Release);
    }

    fn read(&self) -> Option<Place> {
        // Acquire pairs with the Release in `write`.
        let written = self.state.load(Ordering::Acquire) == WRITTEN;
        written.then(|| Place {
            rip: self.rip.load(Ordering::Relaxed),
            rbp: self.rbp.load(Ordering::Relaxed),
        })
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Note, Place, Stop};
    use crate::time::Deadline;
    use crate::{CpuId, CpuSet};

    fn machine() -> Stop {
        let stop = Stop::new();
        stop.notes.init(4, |_| Note::new()).unwrap();
        stop
    }

    fn place(cpu: CpuId) -> Place {
        Place {
            rip: 0x20_0000 + cpu.index(),
            rbp: 0x1000,
        }
    }

    fn others() -> CpuSet {
        (1..4).map(CpuId::new).collect()
    }

    #[test]
    fn every_cpu_says_where_it_was_and_halts() {
        let stop = machine();
        thread::scope(|cpus| {
            let stop = &stop;
            let deadline = Deadline::after_ms(10_000);
            let stopped = stop.stop(CpuId::BOOT, &others(), deadline, |target| {
                cpus.spawn(move || {
                    assert_eq!(stop.note_down(target, place(target)), Some(CpuId::BOOT));
                });
            });
            assert_eq!(stopped, Ok(()));
            assert!(
                others()
                    .iter()
                    .all(|cpu| stop.place_of(cpu) == Some(place(cpu)))
            );
        });
    }

    #[test]
    fn a_cpu_that_does_not_answer_holds_nobody_up_for_ever() {
        let stop = machine();
        let deadline = Deadline::after_ms(20);
        assert_eq!(stop.stop(CpuId::BOOT, &others(), deadline, |_| ()), Ok(()));
        assert_eq!(stop.place_of(CpuId::new(1)), None);
    }

    #[test]
    fn only_the_first_cpu_stops_the_others() {
        let stop = machine();
        let (nobody, at_once) = (CpuSet::new(), || Deadline::after_ms(0));
        assert_eq!(stop.stop(CpuId::BOOT, &nobody, at_once(), |_| ()), Ok(()));
        let second = CpuId::new(2);
        let refused = stop.stop(second, &others(), at_once(), |_| panic!("a second NMI"));
        assert_eq!(refused, Err(CpuId::BOOT));
    }

    #[test]
    fn the_cpu_that_stops_the_others_is_not_stopped_by_an_nmi_from_outside() {
        let stop = machine();
        let stopper = CpuId::new(2);
        let stopped = stop.stop(stopper, &CpuSet::new(), Deadline::after_ms(0), |_| ());
        assert_eq!(stopped, Ok(()));
        assert_eq!(stop.note_down(stopper, place(stopper)), Some(stopper));
        assert_eq!(stop.place_of(stopper), None, "its report says where it is");
    }

    #[test]
    fn after_an_nmi_from_outside_the_place_stays_the_first_one() {
        let stop = machine();
        let cpu = CpuId::new(2);
        let asked = stop.note_down(cpu, place(cpu));
        assert_eq!(asked, None, "nobody has asked it to halt");
        stop.note_down(cpu, Place { rip: 1, rbp: 2 });
        assert_eq!(stop.place_of(cpu), Some(place(cpu)));
    }

    #[test]
    fn a_stop_works_before_there_is_room_for_notes() {
        let stop = Stop::new();
        let stopper = CpuId::new(1);
        let stopped = stop.stop(stopper, &CpuSet::new(), Deadline::after_ms(0), |_| ());
        assert_eq!(stopped, Ok(()));
        assert_eq!(
            stop.note_down(CpuId::BOOT, place(CpuId::BOOT)),
            Some(stopper)
        );
    }
}
