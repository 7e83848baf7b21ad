//! Each CPU's own store of free frames: the common path of allocating and freeing takes no lock and shares no line.
//!
//! Every allocation of frames passes here, and is counted here by kind, for its CPU; the sum over all CPUs is exact
//! (one CPU may well be negative: it frees what another allocated). Free frames in a cache count as free.
//!
//! There are two stores: of frames with any contents, and of frames that hold only zeros. They are filled and emptied
//! by halves, so that a CPU at a boundary does not go to the pool at each step. Their size depends on the memory and
//! the number of CPUs: together they hold at most about a thirtieth of the memory, so that running out of memory means
//! just that. Until `init` has run the limit is 0 and the boot CPU goes to the pool each time; it stays 0 where
//! failures are injected ([`crate::fail`]).

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use smp::{CpuId, CpuLocal, PerCpu, Pinned, pin};

use super::descriptor::{Descriptor, Tag};
use super::kind::FrameKind;
use super::{pool, table};
use crate::error::NoMemory;
use crate::fail;

/// The most that a store of plain frames can hold: so much that a process of some MiB comes and goes without the pool.
const PLAIN_CAPACITY: usize = 2048;

/// The most that a store of zeroed frames can hold.
const ZEROED_CAPACITY: usize = 64;

/// The share of all memory that the stores of all CPUs may hold together.
const SHARE_OF_MEMORY: usize = 32;

/// What a counter, modulo 2^64, changes by when a frame is freed.
const MINUS_ONE: usize = usize::MAX;

/// How many frames of each kind a CPU has allocated, less those that it has freed.
pub(super) struct Counters {
    in_use: [AtomicUsize; FrameKind::COUNT],
}

impl Counters {
    const fn new() -> Counters {
        Counters {
            in_use: [const { AtomicUsize::new(0) }; FrameKind::COUNT],
        }
    }

    /// Adds to this CPU's own counter: only it writes there, so that a load and a store do. Relaxed: a statistic.
    #[inline]
    fn add(&self, kind_index: usize, frames: usize) {
        let counter = &self.in_use[kind_index];
        counter.store(
            counter.load(Ordering::Relaxed).wrapping_add(frames),
            Ordering::Relaxed,
        );
    }
}

/// Free frames with one property, last in first out: the one freed last is the likeliest to be in the CPU's data cache.
struct Store<const CAPACITY: usize> {
    len: u32,
    /// The first `len` of them count.
    numbers: [NonZeroU32; CAPACITY],
}

impl<const CAPACITY: usize> Store<CAPACITY> {
    const fn new() -> Store<CAPACITY> {
        Store {
            len: 0,
            numbers: [NonZeroU32::MAX; CAPACITY],
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<NonZeroU32> {
        let top = self.len.checked_sub(1)?;
        let number = *self.numbers.get(top as usize)?;
        self.len = top;
        Some(number)
    }

    /// Keeps the frame unless that exceeds `limit`.
    #[inline]
    fn push(&mut self, number: NonZeroU32, limit: u32) -> bool {
        if self.len >= limit {
            return false;
        }
        let Some(slot) = self.numbers.get_mut(self.len as usize) else {
            return false;
        };
        *slot = number;
        self.len += 1;
        true
    }

    /// Gives all but the `keep` newest frames to the pool.
    fn drain(&mut self, keep: usize) {
        let surplus = (self.len as usize).saturating_sub(keep);
        pool::give_singles(self.numbers[..surplus].iter().map(|number| number.get()));
        self.numbers.copy_within(surplus..self.len as usize, 0);
        self.len -= surplus as u32;
    }
}

struct CpuCache {
    plain: Store<PLAIN_CAPACITY>,
    zeroed: Store<ZEROED_CAPACITY>,
    counters: &'static Counters,
}

static CACHES: CpuLocal<CpuCache> = CpuLocal::new();
static COUNTERS: PerCpu<Counters> = PerCpu::new();
/// Of the boot CPU until the others exist; never reset, always part of the sum.
static EARLY: Counters = Counters::new();
/// How many frames each store of plain and of zeroed frames holds at most.
static PLAIN_LIMIT: AtomicU32 = AtomicU32::new(0);
static ZEROED_LIMIT: AtomicU32 = AtomicU32::new(0);

/// Makes the caches of `cpus` CPUs. Once, at boot, before another CPU runs.
///
/// # Errors
/// The per-CPU areas do not fit into memory.
pub(super) fn init(cpus: usize, free_frames: usize) -> Result<(), NoMemory> {
    COUNTERS
        .init(cpus, |_| Counters::new())
        .map_err(|_| NoMemory)?;
    let counters_of = |cpu: CpuId| COUNTERS.of(cpu);
    CACHES
        .init(cpus, |cpu| CpuCache {
            plain: Store::new(),
            zeroed: Store::new(),
            counters: counters_of(cpu),
        })
        .map_err(|_| NoMemory)?;
    if fail::is_enabled() {
        return Ok(());
    }
    let per_store = free_frames / SHARE_OF_MEMORY / cpus.max(1) / 2;
    // Relaxed: no other CPU runs yet.
    PLAIN_LIMIT.store(per_store.clamp(2, PLAIN_CAPACITY) as u32, Ordering::Relaxed);
    ZEROED_LIMIT.store(
        (per_store / 2).clamp(1, ZEROED_CAPACITY) as u32,
        Ordering::Relaxed,
    );
    Ok(())
}

/// Calls `action` with this CPU's cache, or without one if there are none yet.
#[inline]
fn with_own<R>(action: impl FnOnce(&mut CpuCache) -> R) -> Option<R> {
    let pin: Pinned = pin::pin();
    CACHES.is_ready().then(|| CACHES.with(&pin, action))
}

/// Takes a frame with any contents. It has one reference, no owner, and the kind `kind`.
#[inline]
pub(super) fn alloc(kind: FrameKind) -> Result<NonZeroU32, NoMemory> {
    let number = with_own(|cache| cache.take_plain(kind));
    let number = number.unwrap_or_else(|| alloc_early(kind))?;
    prepare(number, kind);
    Ok(number)
}

/// As `alloc`, but a frame that holds only zeros if this CPU has one; says whether it is one.
#[inline(always)]
pub(super) fn alloc_maybe_zeroed(kind: FrameKind) -> Result<(NonZeroU32, bool), NoMemory> {
    let taken = with_own(|cache| match cache.zeroed.pop() {
        Some(number) => {
            cache.counters.add(kind.index(), 1);
            Ok((number, true))
        }
        None => Ok((cache.take_plain(kind)?, false)),
    });
    let (number, is_zeroed) = taken.unwrap_or_else(|| Ok((alloc_early(kind)?, false)))?;
    prepare(number, kind);
    Ok((number, is_zeroed))
}

impl CpuCache {
    /// Takes a frame with any contents, which counts as one of the kind `kind`.
    #[inline]
    fn take_plain(&mut self, kind: FrameKind) -> Result<NonZeroU32, NoMemory> {
        let number = match self.plain.pop() {
            Some(number) => number,
            None => refill(self)?,
        };
        self.counters.add(kind.index(), 1);
        Ok(number)
    }
}

#[inline]
fn prepare(number: NonZeroU32, kind: FrameKind) {
    // SAFETY: the pool's frames are all in the table.
    let descriptor = unsafe { table::descriptor(number.get()) };
    debug_assert_eq!(descriptor.tag(), Tag::CACHED, "frame {number} was not free");
    descriptor.set_tag(Tag::in_use(kind, 0));
    // Relaxed: the frame is this CPU's alone.
    descriptor.references.store(1, Ordering::Relaxed);
}

/// Half fills the empty store of plain frames and takes one. When the pool is empty, zeroed frames do as well.
#[cold]
fn refill(cache: &mut CpuCache) -> Result<NonZeroU32, NoMemory> {
    fail::point()?;
    let limit = PLAIN_LIMIT.load(Ordering::Relaxed);
    let plain = &mut cache.plain;
    pool::take_singles((limit / 2).max(1), |number| {
        if let Some(number) = NonZeroU32::new(number) {
            plain.push(number, PLAIN_CAPACITY as u32);
        }
    });
    cache
        .plain
        .pop()
        .or_else(|| cache.zeroed.pop())
        .ok_or(NoMemory)
}

#[cold]
fn alloc_early(kind: FrameKind) -> Result<NonZeroU32, NoMemory> {
    fail::point()?;
    let number = pool::take(0, Tag::CACHED)
        .and_then(NonZeroU32::new)
        .ok_or(NoMemory)?;
    EARLY.add(kind.index(), 1);
    Ok(number)
}

/// Takes back a frame that has no reference any more. `descriptor` is its own.
#[inline]
pub(super) fn free(number: NonZeroU32, descriptor: &Descriptor) {
    let kind_index = retire(number, descriptor);
    let is_kept = with_own(|cache| {
        cache.counters.add(kind_index, MINUS_ONE);
        if !cache
            .plain
            .push(number, PLAIN_LIMIT.load(Ordering::Relaxed))
        {
            make_room(cache, number);
        }
    });
    if is_kept.is_none() {
        free_early(number, kind_index);
    }
}

/// As `free`, of a frame that holds only zeros.
#[inline]
pub(super) fn free_zeroed(number: NonZeroU32, descriptor: &Descriptor) {
    let kind_index = retire(number, descriptor);
    let is_kept = with_own(|cache| {
        cache.counters.add(kind_index, MINUS_ONE);
        let is_full = !cache
            .zeroed
            .push(number, ZEROED_LIMIT.load(Ordering::Relaxed));
        if is_full
            && !cache
                .plain
                .push(number, PLAIN_LIMIT.load(Ordering::Relaxed))
        {
            make_room(cache, number);
        }
    });
    if is_kept.is_none() {
        free_early(number, kind_index);
    }
}

/// Turns an allocated frame into a cached one, and says of which kind it was.
#[inline]
fn retire(number: NonZeroU32, descriptor: &Descriptor) -> usize {
    let Some(kind_index) = descriptor.tag().kind_index() else {
        freed_twice(number)
    };
    descriptor.set_tag(Tag::CACHED);
    kind_index
}

#[cold]
fn freed_twice(number: NonZeroU32) -> ! {
    panic!("frame {number:#x} is freed but was not allocated");
}

/// Half empties the full store of plain frames and puts `number` there.
#[cold]
fn make_room(cache: &mut CpuCache, number: NonZeroU32) {
    let limit = PLAIN_LIMIT.load(Ordering::Relaxed);
    cache.plain.drain((limit / 2) as usize);
    if !cache.plain.push(number, limit) {
        pool::give(number.get(), 0);
    }
}

#[cold]
fn free_early(number: NonZeroU32, kind_index: usize) {
    EARLY.add(kind_index, MINUS_ONE);
    pool::give(number.get(), 0);
}

/// Takes 2^`order` frames in a row. Their head has one reference, no owner, and the kind `kind`.
pub(super) fn alloc_block(order: u32, kind: FrameKind) -> Result<NonZeroU32, NoMemory> {
    alloc_whole_block(order, kind).or_else(|_| {
        // What this CPU holds back may be what keeps a larger block from merging.
        drain_own();
        alloc_whole_block(order, kind)
    })
}

/// As `alloc_block`, if the pool has such a block as it is.
pub(super) fn alloc_whole_block(order: u32, kind: FrameKind) -> Result<NonZeroU32, NoMemory> {
    fail::point()?;
    let number = pool::take(order, Tag::in_use(kind, order))
        .and_then(NonZeroU32::new)
        .ok_or(NoMemory)?;
    // SAFETY: the pool's frames are all in the table.
    unsafe { table::descriptor(number.get()) }
        .references
        .store(1, Ordering::Relaxed);
    count(kind, 1 << order);
    Ok(number)
}

/// Takes back the block with the head `number`, which has no reference any more.
pub(super) fn free_block(number: NonZeroU32) {
    // SAFETY: an allocated block is in the table.
    let descriptor = unsafe { table::descriptor(number.get()) };
    let tag = descriptor.tag();
    if tag.order() == 0 {
        return free(number, descriptor);
    }
    let Some(kind) = tag.kind() else {
        freed_twice(number)
    };
    count(kind, (1usize << tag.order()).wrapping_neg());
    pool::give(number.get(), tag.order());
}

/// Says that the number of frames of the kind `kind` has changed by `frames` (modulo 2^64).
pub(super) fn count(kind: FrameKind, frames: usize) {
    if with_own(|cache| cache.counters.add(kind.index(), frames)).is_none() {
        EARLY.add(kind.index(), frames);
    }
}

/// Gives all frames of this CPU's caches to the pool.
pub(super) fn drain_own() {
    with_own(|cache| {
        cache.plain.drain(0);
        cache.zeroed.drain(0);
    });
}

/// The number of frames in use of the kind `kind`, on all CPUs.
pub(super) fn in_use(kind: FrameKind) -> usize {
    // Relaxed: exact once the CPUs are quiet, and close to it otherwise.
    let of = |counters: &Counters| counters.in_use[kind.index()].load(Ordering::Relaxed);
    COUNTERS
        .iter()
        .map(|(_, counters)| of(counters))
        .fold(of(&EARLY), usize::wrapping_add)
}
