//! Kernel stacks: mapped memory with nothing mapped below it, so that an overflow faults instead of going on elsewhere.
//!
//! They lie in a window of the kernel's half, in slots of 32 KiB: a guard of 16 KiB that is never mapped, and above it
//! a stack of 16 KiB. A stack once made is never unmapped, so no CPU has to forget a translation; one that is given up
//! goes to its CPU's pool of a few, or to the pool that all CPUs share, and serves again.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use smp::fiber::KernelStackOwner;
use smp::{CpuLocal, PerCpu, SpinLock, pin, rank};

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::error::{MapError, NoMemory};
use crate::fail;
use crate::frame::{self, Frame, FrameChain, FrameKind};
use crate::kernel_map::{self, WINDOW_BYTES, WINDOW_START};
use crate::page_table::Perm;

/// The size of a kernel stack.
pub const STACK_BYTES: usize = STACK_PAGES * PAGE_SIZE;

const STACK_PAGES: usize = 4;
const GUARD_BYTES: usize = STACK_BYTES;
/// A power of two, so that the pages of a slot are entries of one page table.
const SLOT_BYTES: usize = GUARD_BYTES + STACK_BYTES;
const ENTRIES_PER_TABLE: usize = PAGE_SIZE / size_of::<u64>();
const SLOTS_PER_TABLE: usize = ENTRIES_PER_TABLE * PAGE_SIZE / SLOT_BYTES;
const MAX_STACKS: u32 = (WINDOW_BYTES / SLOT_BYTES as u64) as u32;

/// The most that a CPU keeps for itself.
const OWN_LIMIT: usize = 4;

/// A kernel stack. Dropping it puts it into the pool; nobody may run on it any more then.
#[derive(Debug)]
pub struct KernelStack {
    slot: u32,
    /// A reference to the frame of the lowest page, beside that of the kernel's map. It stands for the stack in the
    /// pools, which are linked through the frames' descriptors. `None` only while the stack is being dropped.
    lowest: Option<Frame>,
}

/// How many stacks there are.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct StackAccounts {
    /// Stacks that somebody owns.
    pub live: usize,
    /// Stacks in the pools.
    pub pooled: usize,
    /// Frames of the stacks in the pools.
    pub pooled_frames: usize,
    /// Frames of the page tables that map the stacks: they stay, as the slots do, however few stacks are in use later.
    pub table_frames: usize,
}

/// The stacks that a CPU keeps for itself.
struct OwnPool {
    stacks: FrameChain,
    limit: usize,
    /// How many that are, for the accounts.
    len: &'static AtomicUsize,
}

static SHARED: SpinLock<FrameChain, rank::KernelStacks> = SpinLock::new(FrameChain::new());
static OWN: CpuLocal<OwnPool> = CpuLocal::new();
static OWN_LEN: PerCpu<AtomicUsize> = PerCpu::new();
/// How many stacks there are, all in the first slots. Changed with `SHARED` locked.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Gives `cpus` CPUs their pools. Before that all use the shared one.
pub(crate) fn init(cpus: usize) -> Result<(), NoMemory> {
    OWN_LEN
        .init(cpus, |_| AtomicUsize::new(0))
        .map_err(|_| NoMemory)?;
    let empty = |cpu| OwnPool {
        stacks: FrameChain::new(),
        limit: if fail::is_enabled() { 0 } else { OWN_LIMIT },
        len: OWN_LEN.of(cpu),
    };
    OWN.init(cpus, empty).map_err(|_| NoMemory)
}

/// The accounts now. Exact when no stack is made or dropped meanwhile.
pub fn accounts() -> StackAccounts {
    let made = MADE.load(Ordering::Relaxed) as usize;
    let own: usize = OWN_LEN
        .iter()
        .map(|(_, len)| len.load(Ordering::Relaxed))
        .sum();
    let pooled = own + SHARED.lock().len();
    StackAccounts {
        live: made.saturating_sub(pooled),
        pooled,
        pooled_frames: pooled * STACK_PAGES,
        table_frames: made.div_ceil(SLOTS_PER_TABLE)
            + made.div_ceil(SLOTS_PER_TABLE * ENTRIES_PER_TABLE),
    }
}

/// Whether `addr` lies in the guard below a kernel stack: whoever faults there has overflowed the stack.
pub fn is_guard_page(addr: VirtAddr) -> bool {
    let Some(offset) = addr.as_u64().checked_sub(WINDOW_START.as_u64()) else {
        return false;
    };
    let slot_bytes = SLOT_BYTES as u64;
    // Relaxed: who runs on a stack has seen it made.
    offset / slot_bytes < MADE.load(Ordering::Relaxed) as u64
        && offset % slot_bytes < GUARD_BYTES as u64
}

impl KernelStack {
    /// A stack from a pool, or a new one. The kernel's map must be in use.
    ///
    /// # Errors
    /// [`NoMemory`], also if the window is full.
    pub fn new() -> Result<KernelStack, NoMemory> {
        if let Some(lowest) = take_own() {
            return Ok(KernelStack::of_pooled(lowest));
        }
        fail::point()?;
        let mut shared = SHARED.lock();
        match shared.pop() {
            Some(lowest) => Ok(KernelStack::of_pooled(lowest)),
            // The lock is what keeps two CPUs from using one slot.
            None => KernelStack::make(MADE.load(Ordering::Relaxed)),
        }
    }

    /// Maps a stack in the slot `slot`, the next that is free. `SHARED` is locked.
    fn make(slot: u32) -> Result<KernelStack, NoMemory> {
        if slot >= MAX_STACKS {
            return Err(NoMemory);
        }
        let allocate = || frame::alloc(FrameKind::KernelStack);
        let pages: [Frame; STACK_PAGES] = [allocate()?, allocate()?, allocate()?, allocate()?];
        let lowest = pages[0].share();
        // Relaxed: the word is the owner's, and other CPUs get it with the frame.
        lowest.word().store(slot, Ordering::Relaxed);
        let start = top_of(slot) - STACK_BYTES;
        for (index, page) in pages.into_iter().enumerate() {
            let address = VirtAddr::new((start + index * PAGE_SIZE) as u64);
            match kernel_map::map_page(address, page, Perm::WRITE | Perm::NO_EXECUTE) {
                Ok(()) => {}
                // Only the first page may need a page table; until it has one nothing is mapped.
                Err(MapError::NoMemory) if index == 0 => return Err(NoMemory),
                Err(error) => panic!("the window of kernel stacks at {address}: {error:?}"),
            }
        }
        MADE.store(slot + 1, Ordering::Relaxed);
        Ok(KernelStack {
            slot,
            lowest: Some(lowest),
        })
    }

    fn of_pooled(lowest: Frame) -> KernelStack {
        KernelStack {
            slot: lowest.word().load(Ordering::Relaxed),
            lowest: Some(lowest),
        }
    }
}

fn top_of(slot: u32) -> usize {
    WINDOW_START.as_usize() + (slot as usize + 1) * SLOT_BYTES
}

/// A stack of this CPU's own pool.
fn take_own() -> Option<Frame> {
    if !OWN.is_ready() {
        return None;
    }
    OWN.with(&pin::pin(), |own| {
        let lowest = own.stacks.pop()?;
        own.len.store(own.stacks.len(), Ordering::Relaxed);
        Some(lowest)
    })
}

/// Puts a stack into this CPU's own pool, or gives it back if there is no room.
fn put_own(lowest: Frame) -> Result<(), Frame> {
    if !OWN.is_ready() {
        return Err(lowest);
    }
    OWN.with(&pin::pin(), |own| {
        if own.stacks.len() >= own.limit {
            return Err(lowest);
        }
        own.stacks.push(lowest)?;
        own.len.store(own.stacks.len(), Ordering::Relaxed);
        Ok(())
    })
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let Some(Err(lowest)) = self.lowest.take().map(put_own) else {
            return;
        };
        if let Err(lowest) = SHARED.lock().push(lowest) {
            unreachable!("the stack of {} is in a pool already", lowest.pa());
        }
    }
}

// SAFETY: 1. the slot does not change; 2. `make` mapped the pages below the top, for ever and in the map that all CPUs
// share; 3. a slot is in one pool or has one owner: its frame's link is in one chain at a time.
unsafe impl KernelStackOwner for KernelStack {
    fn top(&self) -> usize {
        top_of(self.slot)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use smp::CpuId;
    use smp::fiber::KernelStackOwner;

    use super::{
        GUARD_BYTES, KernelStack, OWN_LIMIT, SLOT_BYTES, STACK_BYTES, STACK_PAGES, accounts,
        is_guard_page,
    };
    use crate::addr::{PAGE_SIZE, VirtAddr};
    use crate::error::NoMemory;
    use crate::frame::{self, Frame, FrameKind};
    use crate::hw::host::machine;
    use crate::kernel_map;

    fn address(value: usize) -> VirtAddr {
        VirtAddr::new(value as u64)
    }

    #[test]
    fn a_stack_is_mapped_below_its_top_and_its_guard_is_not() {
        let _machine = machine();
        let stack = KernelStack::new().unwrap();
        let start = stack.top() - STACK_BYTES;
        for page in (start..stack.top()).step_by(PAGE_SIZE) {
            assert!(kernel_map::is_mapped(address(page)) && !is_guard_page(address(page)));
        }
        for page in (start - GUARD_BYTES..start).step_by(PAGE_SIZE) {
            assert!(!kernel_map::is_mapped(address(page)) && is_guard_page(address(page)));
        }
    }

    #[test]
    fn addresses_outside_of_the_stacks_that_exist_are_no_guard() {
        let _machine = machine();
        drop(KernelStack::new().unwrap());
        let made = accounts().live + accounts().pooled;
        let behind = kernel_map::WINDOW_START.as_usize() + made * SLOT_BYTES;
        assert!(!is_guard_page(address(behind)));
        assert!(is_guard_page(address(behind - SLOT_BYTES)));
        assert!(!is_guard_page(address(0x1000)) && !is_guard_page(VirtAddr::new(u64::MAX)));
    }

    #[test]
    fn stacks_are_used_again_and_never_shared() {
        let _machine = machine();
        let mut stacks: Vec<KernelStack> = (0..20).map(|_| KernelStack::new().unwrap()).collect();
        let mut tops: Vec<usize> = stacks.iter().map(KernelStack::top).collect();
        tops.sort_unstable();
        tops.dedup();
        assert_eq!(tops.len(), 20);
        let before = (accounts(), frame::accounts().in_use(FrameKind::KernelStack));
        stacks.truncate(3);
        assert_eq!(accounts().pooled, before.0.pooled + 17);
        stacks.extend((0..17).map(|_| KernelStack::new().unwrap()));
        assert_eq!(
            (accounts(), frame::accounts().in_use(FrameKind::KernelStack)),
            before
        );
    }

    #[test]
    fn cpus_hand_stacks_to_each_other_through_the_shared_pool() {
        let _machine = machine();
        drop(
            (0..40)
                .map(|_| KernelStack::new().unwrap())
                .collect::<Vec<_>>(),
        );
        let made = accounts().pooled + accounts().live;
        let churn = |cpu| {
            smp::host::become_cpu(CpuId::new(cpu));
            for round in 0..500 {
                let held: Vec<KernelStack> = (0..1 + round % 8)
                    .map(|_| KernelStack::new().unwrap())
                    .collect();
                let tops: std::collections::HashSet<usize> =
                    held.iter().map(KernelStack::top).collect();
                assert_eq!(tops.len(), held.len());
            }
        };
        thread::scope(|scope| (1..4).for_each(|cpu| drop(scope.spawn(move || churn(cpu)))));
        assert_eq!(accounts().live, 0);
        assert!(
            accounts().pooled <= made.max(3 * (8 + OWN_LIMIT) + OWN_LIMIT),
            "{:?}, {made}",
            accounts()
        );
    }

    #[test]
    fn without_memory_there_is_no_new_stack_and_nothing_is_lost() {
        let _machine = machine();
        let pooled: Vec<KernelStack> = (0..accounts().pooled)
            .map(|_| KernelStack::new().unwrap())
            .collect();
        let before = frame::accounts();
        let mut all: Vec<Frame> =
            std::iter::from_fn(|| frame::alloc(FrameKind::Pipe).ok()).collect();
        for _ in 0..STACK_PAGES - 1 {
            assert_eq!(KernelStack::new().err(), Some(NoMemory));
            all.pop();
        }
        assert_eq!(KernelStack::new().err(), Some(NoMemory));
        drop(all);
        assert_eq!(frame::accounts().free, before.free);
        assert_eq!(accounts().live, pooled.len());
    }
}
