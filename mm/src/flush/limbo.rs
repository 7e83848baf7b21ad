//! Limbo: where memory waits that has been unmapped, until every CPU that could reach it has swept
//! (`shootdown=deferred`).
//!
//! Guarantee: memory that a plain unmap has taken away, and the addresses where it was, are used again only after every
//! CPU that ran the space then has flushed. Until that, which takes a tick at most, another thread of the process may
//! still read and write the old memory, and nobody else can.
//!
//! The unmapping CPU flushes its own translations and leaves what it has collected in one of its slots, with the set of
//! CPUs that *owe* a sweep. A CPU sweeps at its next tick, when it leaves the space, and when it becomes idle: it
//! flushes everything, and then takes itself out of the sets. A slot that nobody owes anything for any more is emptied
//! by its CPU, at the next tick or when its turn has come to be used again, or by a CPU that *drains*, which first
//! makes those who owe sweep at once. The addresses are drained before anything is mapped there, everything before
//! accounts are read and when memory runs out, and what a space has in limbo before the space goes.
//!
//! - **LIMBO-1** a CPU takes itself, and only itself, out of the set of a slot, after it has flushed, and only if it
//!   was in the set before it flushed. A slot is used again only when its set is empty; so the two cannot be about
//!   different contents.
//! - **LIMBO-2** a CPU is put into a slot's set before it is told that it owes something. It looks whether it does
//!   after it has left the space's active set; whoever has told it looks at the active set after that, and makes it
//!   sweep if it is not there any more. So none goes idle and still owes.
//! - **LIMBO-3** page-table pages do not come here, since the page walkers of idle CPUs can reach those: a batch that
//!   frees them is completed at once, as under the other strategies.
//!
//! The idea is that of LATR (Kumar et al., "LATR: Lazy Translation Coherence", ASPLOS 2018).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::{fmt, mem};

use crossbeam_utils::CachePadded;
use smp::{AtomicCpuSet, CpuId, CpuSet, IrqOff, Pinned, SpinLock, irq, pin, rank};

use crate::addr::UserRange;
use crate::error::NoMemory;
use crate::flush::active::{ActiveCpus, SpaceId};
use crate::flush::kernel::Kernel;
use crate::flush::machine::{Machine, Released};
use crate::flush::requests::Asked;

/// How many unmaps of one CPU can wait.
pub(crate) const SLOTS: usize = 128;

/// What waits in a slot.
struct Waiting<R> {
    space: SpaceId,
    range: UserRange,
    released: R,
}

/// The limbo of one CPU.
struct CpuLimbo<R> {
    /// The CPUs that have something in limbo which this CPU has not swept.
    owes_to: AtomicCpuSet,
    /// Who owes a sweep, by slot.
    owing: Box<[AtomicCpuSet]>,
    /// What waits. Whoever holds the lock may fill an empty slot of this CPU's own, and empty one that nobody owes.
    slots: SpinLock<Slots<R>, rank::Limbo>,
}

/// What waits on one CPU.
struct Slots<R> {
    waiting: Box<[Option<Waiting<R>>]>,
    /// The slot that is used next, and the one that has been in use for longest.
    next: usize,
    /// How many are in use.
    used: usize,
}

/// What waits on all CPUs of a machine.
///
/// It is a value passed by reference, so that models run this code with machines of their own.
pub struct Limbo<R: Released> {
    cpus: Box<[CachePadded<CpuLimbo<R>>]>,
}

/// So many of what `make` makes.
fn boxed<T>(len: usize, make: impl FnMut() -> T) -> Result<Box<[T]>, NoMemory> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).map_err(|_| NoMemory)?;
    elements.resize_with(len, make);
    Ok(elements.into_boxed_slice())
}

impl<R: Released> CpuLimbo<R> {
    fn new(slots: usize) -> Result<CpuLimbo<R>, NoMemory> {
        Ok(CpuLimbo {
            owes_to: AtomicCpuSet::new(),
            owing: boxed(slots, AtomicCpuSet::new)?,
            slots: SpinLock::new(Slots {
                waiting: boxed(slots, || None)?,
                next: 0,
                used: 0,
            }),
        })
    }
}

impl<R: Released> Limbo<R> {
    /// Of the CPUs `0..cpus`, on each of which `slots` unmaps can wait, 128 at most.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(cpus: usize, slots: usize) -> Result<Limbo<R>, NoMemory> {
        assert!((1..=SLOTS).contains(&slots), "a limbo of {slots} slots");
        let mut limbos = Vec::new();
        limbos.try_reserve_exact(cpus).map_err(|_| NoMemory)?;
        for _ in 0..cpus {
            limbos.push(CachePadded::new(CpuLimbo::new(slots)?));
        }
        Ok(Limbo {
            cpus: limbos.into_boxed_slice(),
        })
    }

    /// Whether nothing waits, and no CPU owes a sweep.
    pub fn is_empty(&self) -> bool {
        self.cpus.iter().fold(true, |is_empty, limbo| {
            let owed = limbo.owing.iter().filter(|set| !set.is_empty()).count();
            is_empty & (owed == 0) & limbo.owes_to.is_empty() & (limbo.slots.lock().used == 0)
        })
    }

    #[inline]
    fn of(&self, cpu: CpuId) -> &CpuLimbo<R> {
        &self.cpus[cpu.index()]
    }

    /// Takes what is in `released`, which was mapped in `range` of `space` and whose removal has been published, and
    /// leaves it in limbo until `others` have swept. If all slots are taken, those sweep first who owe for the oldest:
    /// then they have swept for all.
    pub(super) fn put(
        &self,
        machine: impl Machine,
        pin: &Pinned,
        space: &ActiveCpus,
        range: UserRange,
        others: &CpuSet,
        released: &mut R,
    ) {
        let own = self.of(pin.cpu());
        let mut slots = own.slots.lock();
        let index = slots.next;
        slots.next = (index + 1) % slots.waiting.len();
        empty(machine, &mut slots, index, &own.owing[index], pin);
        own.owing[index].store(others);
        slots.waiting[index] = Some(Waiting {
            space: space.space(),
            range,
            released: mem::take(released),
        });
        slots.used += 1;
        // LIMBO-2: these read-modify-writes come before the look at the active set.
        for other in others.iter() {
            self.of(other).owes_to.fetch_insert(pin.cpu());
        }
        drop(slots);
        let active = space.active_after_telling();
        let gone: CpuSet = others.iter().filter(|cpu| !active.contains(*cpu)).collect();
        make_sweep(machine, pin, &gone);
    }

    /// What a CPU does that owes a sweep; keeps MAIL-5.
    pub(super) fn sweep(&self, machine: impl Machine, off: &IrqOff) {
        let cpu = off.cpu();
        let own = self.of(cpu);
        let creditors = own.owes_to.load();
        for creditor in creditors.iter() {
            own.owes_to.fetch_remove(creditor);
            let owing = &self.of(creditor).owing;
            let mut owed = [false; SLOTS];
            for (owed, set) in owed.iter_mut().zip(owing) {
                *owed = set.contains(cpu);
            }
            machine.flush_all();
            // LIMBO-1: only where it was before the flush. The read-modify-write pairs with the Acquire in `is_empty`
            // of who empties the slot: the flush comes before whatever the memory is used for next.
            for (_, set) in owed.iter().zip(owing).filter(|(owed, _)| **owed) {
                set.fetch_remove(cpu);
            }
        }
    }

    /// Gives everything back that `is_wanted`, as soon as nobody can reach it.
    fn drain_where(&self, machine: impl Machine, is_wanted: impl Fn(&Waiting<R>) -> bool) {
        let pin = pin::pin();
        for limbo in &self.cpus {
            let mut slots = limbo.slots.lock();
            if slots.used == 0 {
                continue;
            }
            for (index, owing) in limbo.owing.iter().enumerate() {
                if slots.waiting[index].as_ref().is_some_and(&is_wanted) {
                    empty(machine, &mut slots, index, owing, &pin);
                }
            }
        }
    }
}

impl<R: Released> fmt::Debug for Limbo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limbo")
            .field("cpus", &self.cpus.len())
            .finish_non_exhaustive()
    }
}

impl<R: Released> Slots<R> {
    /// Gives back what is in a slot. Nobody can reach it any more.
    fn give_back(&mut self, index: usize) {
        if let Some(mut waiting) = self.waiting[index].take() {
            waiting.released.give_back();
            self.used -= 1;
        }
    }
}

/// Gives back what is in the slot `index`, after those have swept who owe that.
fn empty(
    machine: impl Machine,
    slots: &mut Slots<impl Released>,
    index: usize,
    owing: &AtomicCpuSet,
    pin: &Pinned,
) {
    if !owing.is_empty() {
        make_sweep(machine, pin, &owing.load());
    }
    debug_assert!(owing.is_empty(), "a CPU has not swept");
    slots.give_back(index);
}

/// Makes `cpus` sweep now, and waits until they have.
fn make_sweep(machine: impl Machine, pin: &Pinned, cpus: &CpuSet) {
    let mut others = *cpus;
    if others.remove(pin.cpu())
        && let Some(limbo) = machine.limbo()
    {
        limbo.sweep(machine, &irq::disable());
    }
    if let Some(own) = machine.cpu(pin)
        && !others.is_empty()
    {
        Asked::to_sweep(machine, pin, own, &others).wait();
    }
}

/// Flushes this CPU's translations if it owes that to anybody. At ticks, and after leaving a space's active set.
#[inline]
pub(super) fn sweep_if_owed(machine: impl Machine, off: &IrqOff) {
    if let Some(limbo) = machine.limbo() {
        // LIMBO-2: the read-modify-write by which this CPU has left the set pairs with that of the look in `put`:
        // whichever comes second finds what the other has done before.
        limbo.sweep(machine, off);
    }
}

/// As `sweep_if_owed`, and empties those of this CPU's slots that nobody owes anything for: at ticks, by a thread.
pub fn serve_tick(machine: impl Machine) {
    let Some(limbo) = machine.limbo() else {
        return;
    };
    limbo.sweep(machine, &irq::disable());
    let own = limbo.of(pin::pin().cpu());
    let mut slots = own.slots.lock();
    if slots.used == 0 {
        return;
    }
    for (index, owing) in own.owing.iter().enumerate() {
        // `is_empty` acquires: see `sweep`.
        if owing.is_empty() {
            slots.give_back(index);
        }
    }
}

/// Gives everything back that is in limbo: before accounts are read.
pub fn drain(machine: impl Machine) {
    if let Some(limbo) = machine.limbo() {
        limbo.drain_where(machine, |_| true);
    }
}

/// Gives back what is in limbo of `range` of `space`, where something is about to be mapped.
#[inline]
pub fn drain_range(machine: impl Machine, space: SpaceId, range: UserRange) {
    if let Some(limbo) = machine.limbo() {
        limbo.drain_where(machine, |waiting| {
            waiting.space == space && waiting.range.intersection(range).is_some()
        });
    }
}

/// Gives back what is in limbo of `space`, which is about to go.
#[inline]
pub fn drain_space(machine: impl Machine, space: SpaceId) {
    if let Some(limbo) = machine.limbo() {
        limbo.drain_where(machine, |waiting| waiting.space == space);
    }
}

/// Whether anything can be in limbo.
#[inline]
pub(crate) fn is_in_use() -> bool {
    Kernel.limbo().is_some()
}

/// Gives everything back that is in limbo, for whoever has run out of memory. Says whether anything can be: then it is
/// worth another try.
#[cold]
pub fn drain_if_used() -> bool {
    let is_used = is_in_use();
    if is_used {
        drain(Kernel);
    }
    is_used
}
