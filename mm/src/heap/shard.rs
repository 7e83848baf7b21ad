//! The shards of the heap, which small allocations come from unless their CPU has what they need.
//!
//! Each is an allocator from the crate `rlsf` (constant time, whatever the state) behind a lock. Which shard an
//! allocation belongs to stands in the word of its frame's descriptor, so that any CPU can free it.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;
use rlsf::Tlsf;
use smp::{SpinLock, cpu, rank};

use crate::addr::PAGE_SIZE;
use crate::frame::{self, Block, FrameKind};
use crate::hw;

/// More CPUs than this share shards.
const SHARDS: usize = 16;

/// A shard grows by 2^4 frames, 64 KiB, if there are so many in a row.
const GROWTH_ORDER: u32 = 4;

/// Free blocks of 32 bytes to 64 KiB in 12 powers of two, each in 8 steps.
type Pool = Tlsf<'static, u16, u8, 12, 8>;

struct Shard {
    pool: Pool,
    frames: usize,
}

type LockedShard = CachePadded<SpinLock<Shard, rank::Heap>>;

static ALL: [LockedShard; SHARDS] =
    [const { CachePadded::new(SpinLock::new(Shard::new())) }; SHARDS];

impl Shard {
    const fn new() -> Shard {
        Shard {
            pool: Pool::new(),
            frames: 0,
        }
    }

    /// Takes more memory from the frame allocator. `index` is this shard's place in `ALL`.
    #[cold]
    fn grow(&mut self, index: usize) -> Option<()> {
        let block = frame::alloc_block(GROWTH_ORDER, FrameKind::KernelHeap)
            .or_else(|_| frame::alloc_block(0, FrameKind::KernelHeap))
            .ok()?;
        for word in block.words() {
            // Relaxed: who frees a piece of this got it from who allocated it, which is after this.
            word.store(index as u32, Ordering::Relaxed);
        }
        let len = block.len_bytes();
        self.frames += len / PAGE_SIZE;
        let start = NonNull::new(hw::phys_to_ptr(block.into_raw()))?;
        // SAFETY: the block is nobody else's, and the heap never gives it back.
        unsafe {
            self.pool
                .insert_free_block_ptr(NonNull::slice_from_raw_parts(start, len))
        }
        .map(drop)
    }
}

/// Allocates from this CPU's shard; `None` if there is no memory. The size is not 0.
pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    // The CPU is a hint: any shard will do.
    let index = cpu::id_racy().index() % SHARDS;
    let mut shard = ALL[index].lock();
    let allocation = match shard.pool.allocate(layout) {
        Some(allocation) => allocation,
        None => {
            shard.grow(index)?;
            shard.pool.allocate(layout)?
        }
    };
    Some(allocation)
}

/// Gives an allocation back to its shard.
///
/// # Safety
/// `allocation` came from `allocate` with the same layout, and nobody uses it any more.
pub(super) unsafe fn deallocate(allocation: NonNull<u8>, layout: Layout) {
    // SAFETY: the allocation lies in a block of the heap, which is never freed.
    let index =
        unsafe { Block::word_at(hw::ptr_to_phys(allocation.as_ptr())) }.load(Ordering::Relaxed);
    let mut shard = ALL[index as usize % SHARDS].lock();
    // SAFETY: it came from this shard's pool with this alignment.
    unsafe { shard.pool.deallocate(allocation, layout.align()) };
}

/// The frames that all shards have.
pub(super) fn frames() -> usize {
    ALL.iter().map(|shard| shard.lock().frames).sum()
}
