//! What a CPU has of the heap for itself: a few free blocks of each size class, and a block set aside.
//!
//! A process or a file comes and goes with a handful of allocations of the same few sizes. Blocks of up to 2 KiB that
//! are freed on a CPU serve its next allocations of their class, without the shard's lock and at a quarter of its
//! instructions. Which class an allocation belongs to depends on its layout alone, so it does not matter on which CPU,
//! or when, it is freed. Blocks kept here count as free.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use smp::{CpuLocal, PerCpu, pin};

use super::shard;
use crate::error::NoMemory;
use crate::fail;

/// The sizes of the classes. Larger blocks are fewer, so that the steps may be wider.
const SIZES: [u16; 12] = [32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

/// The alignment of all blocks of a class. What needs more is not in any. A thread's FPU state has a large one: its
/// alignment costs little there.
const fn align_of(class: usize) -> usize {
    if SIZES[class] < 768 { 16 } else { 64 }
}

/// log2 of the unit in which `CLASS_OF` counts.
const STEP_SHIFT: u32 = 5;

const STEP: usize = 1 << STEP_SHIFT;

/// The class of a size, by its number of steps, rounded up.
const CLASS_OF: [u8; super::LARGEST_SMALL / STEP + 1] = {
    let mut classes = [0; super::LARGEST_SMALL / STEP + 1];
    let (mut steps, mut class) = (0, 0);
    while steps < classes.len() {
        if steps * STEP > SIZES[class] as usize {
            class += 1;
        }
        classes[steps] = class as u8;
        steps += 1;
    }
    classes
};

/// The most blocks of a class that a CPU keeps.
const CAPACITY: usize = 8;

/// The most bytes of a class that a CPU keeps, two blocks excepted.
const MOST_BYTES: usize = 1024;

/// Free blocks of a class, last in first out.
struct Store {
    len: u8,
    limit: u8,
    /// The first `len` of them are blocks; the others are dangling.
    blocks: [NonNull<u8>; CAPACITY],
}

struct Own {
    stores: [Store; SIZES.len()],
    /// What the next allocation of its layout gets. It counts as allocated.
    set_aside: Option<(Layout, NonNull<u8>)>,
    /// Bytes allocated on this CPU, less those freed, modulo 2^64. Only this CPU writes it.
    bytes: &'static AtomicUsize,
}

// SAFETY: the blocks belong to the value, wherever it is.
unsafe impl Send for Own {}

static OWN: CpuLocal<Own> = CpuLocal::new();
static BYTES: PerCpu<AtomicUsize> = PerCpu::new();
/// Of the boot CPU before there is more; always part of the sum.
static EARLY_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Gives `cpus` CPUs their part. Before that the heap works without, for the boot CPU alone, but nothing can be set
/// aside.
pub(crate) fn init(cpus: usize) -> Result<(), NoMemory> {
    BYTES
        .init(cpus, |_| AtomicUsize::new(0))
        .map_err(|_| NoMemory)?;
    let empty = |cpu| Own {
        stores: core::array::from_fn(Store::new),
        set_aside: None,
        bytes: BYTES.of(cpu),
    };
    OWN.init(cpus, empty).map_err(|_| NoMemory)
}

/// Whether `init` has run.
pub(super) fn is_ready() -> bool {
    OWN.is_ready()
}

/// Bytes allocated on all CPUs; exact when no CPU allocates or frees meanwhile.
pub(super) fn bytes_in_use() -> usize {
    let early = EARLY_BYTES.load(Ordering::Relaxed);
    BYTES
        .iter()
        .map(|(_, bytes)| bytes.load(Ordering::Relaxed))
        .fold(early, usize::wrapping_add)
}

/// The class of allocations with this (small) layout.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    let class = *CLASS_OF.get((layout.size() + STEP - 1) >> STEP_SHIFT)? as usize;
    (layout.align() <= align_of(class)).then_some(class)
}

/// The layout of the blocks of a class.
#[inline]
fn layout_of(class: usize) -> Option<Layout> {
    Layout::from_size_align(SIZES[class] as usize, align_of(class)).ok()
}

/// What the shards are asked for to serve `layout`.
#[inline]
fn block_layout(layout: Layout) -> Layout {
    match class_of(layout).and_then(layout_of) {
        Some(block) => block,
        None => layout,
    }
}

/// Allocates up to 2 KiB; `None` if there is no memory. The size is not 0.
#[inline]
pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if !OWN.is_ready() {
        return allocate_early(layout);
    }
    OWN.with(&pin::pin(), |own| {
        if own.set_aside.is_some() {
            return own.take_set_aside(layout).or_else(|| own.allocate(layout));
        }
        own.allocate(layout)
    })
}

/// Gives back what `allocate` returned.
///
/// # Safety
/// `allocation` came from `allocate` with the same layout, and nobody uses it any more.
#[inline]
pub(super) unsafe fn deallocate(allocation: NonNull<u8>, layout: Layout) {
    let is_kept = OWN.is_ready()
        && OWN.with(&pin::pin(), |own| {
            own.count(layout.size().wrapping_neg());
            class_of(layout).is_some_and(|class| own.stores[class].push(allocation))
        });
    if !is_kept {
        // SAFETY: the caller gives it up, and it was made with this layout.
        unsafe { deallocate_to_shard(allocation, layout) };
    }
}

#[cold]
fn allocate_early(layout: Layout) -> Option<NonNull<u8>> {
    fail::point().ok()?;
    let block = shard::allocate(block_layout(layout))?;
    EARLY_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
    Some(block)
}

/// # Safety
/// As `deallocate`.
#[cold]
unsafe fn deallocate_to_shard(allocation: NonNull<u8>, layout: Layout) {
    if !OWN.is_ready() {
        EARLY_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
    }
    // SAFETY: the block was made with the layout that stands for its class.
    unsafe { shard::deallocate(allocation, block_layout(layout)) };
}

/// Keeps `block`, an allocation with the layout `layout`, for the next allocation with the same one on this CPU.
/// Nothing is set aside yet, and `init` has run. Until it is taken or taken back, the thread stays pinned.
pub(super) fn set_aside(layout: Layout, block: NonNull<u8>) {
    OWN.with(&pin::pin(), |own| own.set_aside = Some((layout, block)));
}

/// What is still set aside on this CPU.
pub(super) fn take_back() -> Option<NonNull<u8>> {
    OWN.with(&pin::pin(), |own| Some(own.set_aside.take()?.1))
}

/// What is set aside on this CPU, if it is meant for an allocation with the layout `layout`.
pub(super) fn take_set_aside(layout: Layout) -> Option<NonNull<u8>> {
    if !OWN.is_ready() {
        return None;
    }
    OWN.with(&pin::pin(), |own| own.take_set_aside(layout))
}

impl Own {
    #[inline]
    fn count(&self, bytes: usize) {
        // Relaxed, and not a read-modify-write: this CPU's own statistic.
        self.bytes.store(
            self.bytes.load(Ordering::Relaxed).wrapping_add(bytes),
            Ordering::Relaxed,
        );
    }

    #[inline]
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let kept = class_of(layout).and_then(|class| self.stores[class].pop());
        let block = match kept {
            Some(block) => block,
            None => self.allocate_from_shard(layout)?,
        };
        self.count(layout.size());
        Some(block)
    }

    #[cold]
    fn allocate_from_shard(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        fail::point().ok()?;
        let layout = block_layout(layout);
        shard::allocate(layout).or_else(|| {
            // What is kept here, of all classes together, may do.
            self.drain();
            shard::allocate(layout)
        })
    }

    /// Gives all free blocks back to their shards.
    fn drain(&mut self) {
        for (class, store) in self.stores.iter_mut().enumerate() {
            while let (Some(block), Some(layout)) = (store.pop(), layout_of(class)) {
                // SAFETY: the blocks of a store are free, and were made with the layout of its class.
                unsafe { shard::deallocate(block, layout) };
            }
        }
    }

    #[cold]
    fn take_set_aside(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let (_, block) = self.set_aside.take_if(|(meant, _)| *meant == layout)?;
        Some(block)
    }
}

impl Store {
    fn new(class: usize) -> Store {
        let limit = match fail::is_enabled() {
            false => (MOST_BYTES / SIZES[class] as usize).clamp(2, CAPACITY) as u8,
            true => 0,
        };
        Store {
            len: 0,
            limit,
            blocks: [NonNull::dangling(); CAPACITY],
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let top = self.len.checked_sub(1)?;
        let block = *self.blocks.get(top as usize)?;
        self.len = top;
        Some(block)
    }

    /// Keeps the block if there is room for it.
    #[inline]
    fn push(&mut self, block: NonNull<u8>) -> bool {
        if self.len >= self.limit {
            return false;
        }
        let Some(slot) = self.blocks.get_mut(self.len as usize) else {
            return false;
        };
        *slot = block;
        self.len += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;

    use super::{SIZES, align_of, block_layout, class_of};

    #[test]
    fn each_size_belongs_to_the_smallest_class_that_holds_it() {
        for size in 1..=2048 {
            let layout = Layout::from_size_align(size, 8).unwrap();
            let expected = SIZES.iter().position(|class| *class as usize >= size);
            assert_eq!(class_of(layout), expected, "{size}");
            assert!(block_layout(layout).size() >= size);
        }
    }

    #[test]
    fn what_needs_a_larger_alignment_is_in_no_class() {
        for size in SIZES.map(usize::from) {
            let align = class_of(Layout::from_size_align(size, 8).unwrap()).map(align_of);
            let layout = Layout::from_size_align(size, 2 * align.unwrap()).unwrap();
            assert_eq!((class_of(layout), block_layout(layout)), (None, layout));
        }
    }
}
