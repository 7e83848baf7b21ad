//! Limbo: where memory waits that has been unmapped, until every CPU that could reach it has swept
//! (`shootdown=deferred`).
//!
//! Guarantee: memory that a plain unmap has taken away, and the addresses where it was, are used again only after every CPU
//! that ran the space then has flushed. Until that, which takes a tick at most, another thread of the process may still
//! read and write the old memory, and nobody else can.
//!
//! The unmapping CPU flushes its own translations and leaves what it has collected in one of its slots, with the set of
//! CPUs that *owe* a sweep. A CPU sweeps at its next tick, when it leaves the space, and when it becomes idle: it
//! flushes everything, and then takes itself out of the sets. A slot that nobody owes anything for any more is emptied by
//! its CPU, at the next tick or when its turn has come to be used again, or by a CPU that *drains*, which first makes those
//! who owe sweep at once. The addresses are drained before anything is mapped there, everything before accounts are read and
//! when memory runs out, and what a space has in limbo before the space goes.
//!
//! - **LIMBO-1** a CPU takes itself, and only itself, out of the set of a slot, after it has flushed, and only if it was in
//!   the set before it flushed. A slot is used again only when its set is empty; so the two cannot be about different
//!   contents.
//! - **LIMBO-2** a CPU is put into a slot's set before it is told that it owes something. It looks whether it does after it
//!   has left the space's active set; whoever has told it looks at the active set after that, and makes it sweep if it
//!   is not there any more. So none goes idle and still owes.
//! - **LIMBO-3** page-table pages do not come here, since the page walkers of idle CPUs can reach those: a batch that frees
//!   them is completed at once, as under the other strategies.
//!
//! The idea is that of LATR (Kumar et al., "LATR: Lazy Translation Coherence", ASPLOS 2018).

use alloc::vec::Vec;
use core::mem;

use smp::sync::{Ordering, fence};
use smp::{AtomicCpuSet, CpuSet, IrqOff, PerCpu, Pinned, SpinLock, irq, pin, rank};

use crate::addr::UserRange;
use crate::error::NoMemory;
use crate::flush::active::{ActiveCpus, SpaceId};
use crate::flush::kernel::Kernel;
use crate::flush::machine::{Machine, Processor, Released};
use crate::flush::released::ReleasedFrames;
use crate::flush::requests::{Asked, Task};
use crate::flush::strategy::Strategy;

/// How many unmaps of one CPU can wait.
pub(crate) const SLOTS: usize = 128;

/// What waits in a slot.
struct Waiting {
    space: SpaceId,
    range: UserRange,
    released: ReleasedFrames,
}

/// The limbo of one CPU.
struct CpuLimbo {
    /// The CPUs that have something in limbo which this CPU has not swept.
    owes_to: AtomicCpuSet,
    /// Who owes a sweep, by slot.
    owing: [AtomicCpuSet; SLOTS],
    /// What waits. Whoever holds the lock may fill an empty slot of this CPU's own, and empty one that nobody owes.
    slots: SpinLock<Slots, rank::Limbo>,
}

/// What waits on one CPU.
struct Slots {
    waiting: Vec<Option<Waiting>>,
    /// The slot that is used next, and the one that has been in use for longest.
    next: usize,
    /// How many are in use.
    used: usize,
}

static LIMBOS: PerCpu<CpuLimbo> = PerCpu::new();

/// Makes the limbos of `cpus` CPUs, unless there are any. At boot.
///
/// # Errors
/// [`NoMemory`].
pub(super) fn init(cpus: usize) -> Result<(), NoMemory> {
    if LIMBOS.is_ready() {
        return Ok(());
    }
    let empty = |_| CpuLimbo {
        owes_to: AtomicCpuSet::new(),
        owing: [const { AtomicCpuSet::new() }; SLOTS],
        slots: SpinLock::new(Slots {
            waiting: Vec::new(),
            next: 0,
            used: 0,
        }),
    };
    LIMBOS.init(cpus, empty).map_err(|_| NoMemory)?;
    for (_, limbo) in LIMBOS.iter() {
        let mut waiting = Vec::new();
        waiting.try_reserve_exact(SLOTS).map_err(|_| NoMemory)?;
        waiting.resize_with(SLOTS, || None);
        limbo.slots.lock().waiting = waiting;
    }
    Ok(())
}

/// Whether anything can be in limbo.
#[inline]
pub(crate) fn is_in_use() -> bool {
    Kernel.strategy() == Strategy::Deferred && LIMBOS.is_ready()
}

/// Takes what is in `released`, which was mapped in `range` of `space` and whose removal has been published, and leaves it in
/// limbo until `others` have swept. If all slots are taken, those sweep first who owe for the oldest: then they have swept for
/// all.
pub(super) fn put(
    pin: &Pinned,
    space: &ActiveCpus,
    range: UserRange,
    others: &CpuSet,
    released: &mut ReleasedFrames,
) {
    let own = LIMBOS.get(pin);
    let mut slots = own.slots.lock();
    let index = slots.next;
    slots.next = (index + 1) % SLOTS;
    empty(&mut slots, index, &own.owing[index], pin);
    own.owing[index].store(others);
    slots.waiting[index] = Some(Waiting {
        space: space.space(),
        range,
        released: mem::take(released),
    });
    slots.used += 1;
    // LIMBO-2: these read-modify-writes come before the look at the active set, and pair with those of a CPU that leaves
    // the set and then looks at `owes_to`.
    for other in others.iter() {
        LIMBOS.of(other).owes_to.fetch_insert(pin.cpu());
    }
    drop(slots);
    let active = space.active_after_telling();
    let gone: CpuSet = others.iter().filter(|cpu| !active.contains(*cpu)).collect();
    make_sweep(pin, &gone);
}

/// Flushes this CPU's translations if it owes that to anybody. At ticks, and after leaving a space's active set.
#[inline]
pub(super) fn sweep_if_owed(off: &IrqOff) {
    if is_in_use() {
        // LIMBO-2: pairs with the read-modify-writes in `put`.
        fence(Ordering::SeqCst);
        sweep(off);
    }
}

/// As `sweep_if_owed`, and empties those of this CPU's slots that nobody owes anything for: at ticks, by a thread.
pub fn serve_tick() {
    if is_in_use() {
        sweep(&irq::disable());
        let own = LIMBOS.get(&pin::pin());
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
}

/// What a CPU does that owes a sweep; keeps MAIL-5.
pub(super) fn sweep(off: &IrqOff) {
    let cpu = off.cpu();
    let own = LIMBOS.get(off);
    let creditors = own.owes_to.load();
    for creditor in creditors.iter() {
        own.owes_to.fetch_remove(creditor);
        let owing = &LIMBOS.of(creditor).owing;
        let mut owed = [false; SLOTS];
        for (owed, set) in owed.iter_mut().zip(owing) {
            *owed = set.contains(cpu);
        }
        Kernel.flush_all();
        // LIMBO-1: only where it was before the flush. The read-modify-write pairs with the Acquire in `reap`: the flush
        // comes before whatever the memory is used for next.
        for (_, set) in owed.iter().zip(owing).filter(|(owed, _)| **owed) {
            set.fetch_remove(cpu);
        }
    }
}

impl Slots {
    /// Gives back what is in a slot. Nobody can reach it any more.
    fn give_back(&mut self, index: usize) {
        if let Some(mut waiting) = self.waiting[index].take() {
            waiting.released.give_back();
            self.used -= 1;
        }
    }
}

/// Gives back what is in the slot `index`, after those have swept who owe that.
fn empty(slots: &mut Slots, index: usize, owing: &AtomicCpuSet, pin: &Pinned) {
    if !owing.is_empty() {
        make_sweep(pin, &owing.load());
    }
    debug_assert!(owing.is_empty(), "a CPU has not swept");
    slots.give_back(index);
}

/// Makes `cpus` sweep now, and waits until they have.
fn make_sweep(pin: &Pinned, cpus: &CpuSet) {
    let mut others = *cpus;
    if others.remove(pin.cpu()) {
        sweep(&irq::disable());
    }
    if !others.is_empty() {
        Asked::ask(Kernel, pin, &others, SpaceId::KERNEL, Task::Sweep).wait();
    }
}

/// Gives everything back that is in limbo and that `is_wanted`, as soon as nobody can reach it.
fn drain_where(is_wanted: impl Fn(&Waiting) -> bool) {
    if !is_in_use() {
        return;
    }
    let pin = pin::pin();
    for (_, limbo) in LIMBOS.iter() {
        let mut slots = limbo.slots.lock();
        if slots.used == 0 {
            continue;
        }
        for (index, owing) in limbo.owing.iter().enumerate() {
            if slots.waiting[index].as_ref().is_some_and(&is_wanted) {
                empty(&mut slots, index, owing, &pin);
            }
        }
    }
}

/// Gives everything back that is in limbo: before accounts are read.
pub fn drain() {
    drain_where(|_| true);
}

/// Does `attempt`, and does it again if it has run out of memory and there may be some that only waits for other CPUs.
#[inline(always)]
pub(crate) fn retry_drained<T, E: From<NoMemory> + PartialEq>(
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    match attempt() {
        Err(error) if error == NoMemory.into() && is_in_use() => {
            drain();
            attempt()
        }
        outcome => outcome,
    }
}

/// Gives back what is in limbo of `range` of `space`, where something is about to be mapped.
#[inline]
pub(crate) fn drain_range(space: SpaceId, range: UserRange) {
    drain_where(|waiting| waiting.space == space && waiting.range.intersection(range).is_some());
}

/// Gives back what is in limbo of `space`, which is about to go.
#[inline]
pub(crate) fn drain_space(space: SpaceId) {
    drain_where(|waiting| waiting.space == space);
}
