//! The kernel heap: what `Box`, `Vec` and `Arc` allocate from.
//!
//! Up to 2 KiB an allocation comes from what the CPU has for itself (`own`), else from one of several shards (`shard`),
//! each a two-level segregated-fit allocator behind a lock; a CPU allocates from the shard of its number, and an
//! allocation goes back where it came from. Anything larger is a run of frames of its own. A shard grows by blocks of
//! frames and keeps them: they are the heap's pool.
//!
//! Allocation fails with a null pointer. `Box::new`, `Arc::new` and `Vec::push` would then panic, so no path that a
//! user can reach calls them: it calls [`try_box`], [`try_arc`], or `Vec::try_reserve` and then `push`.
//!
//! Works on the boot CPU as soon as `frame::init` has run. Interrupt handlers neither allocate nor free.

mod fallible;
mod own;
mod shard;
#[cfg(test)]
mod tests;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

pub use fallible::{try_arc, try_box};
pub(crate) use own::init;

use crate::addr::PAGE_SIZE;
use crate::frame::{self, FrameKind, PageRun};
use crate::hw;

/// The largest allocation, and the largest alignment, that a shard serves.
const LARGEST_SMALL: usize = 2048;

/// The allocator as Rust wants it.
#[derive(Debug)]
pub struct KernelHeap;

#[cfg(target_os = "none")]
#[global_allocator]
static KERNEL_HEAP: KernelHeap = KernelHeap;

/// What the heap holds. Exact when no CPU allocates or frees meanwhile.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct HeapAccounts {
    /// Bytes that are allocated: as many as were asked for up to 2 KiB, whole pages above.
    pub bytes_in_use: usize,
    /// Frames that the shards have for allocations up to 2 KiB. They keep them, used or not.
    pub pool_frames: usize,
    /// Frames of larger allocations.
    pub large_frames: usize,
}

/// The heap's accounts now.
pub fn accounts() -> HeapAccounts {
    let (small_bytes, pool_frames) = (own::bytes_in_use(), shard::frames());
    let all_frames = frame::accounts().in_use(FrameKind::KernelHeap);
    let large_frames = all_frames.saturating_sub(pool_frames);
    HeapAccounts {
        bytes_in_use: small_bytes + large_frames * PAGE_SIZE,
        pool_frames,
        large_frames,
    }
}

/// The number of frames that a large allocation takes; `None` for a small one.
#[inline]
fn pages_if_large(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align());
    if size <= LARGEST_SMALL {
        return None;
    }
    // A run of as many pages as the alignment has is aligned to it. A layout's size is far from overflowing here.
    Some(size.div_ceil(PAGE_SIZE))
}

// SAFETY: memory comes from a shard or from the frame allocator, both of which hand out each byte once until it is
// freed, aligned as asked for (a run to the power of two that holds it); nothing here panics or unwinds.
unsafe impl GlobalAlloc for KernelHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match pages_if_large(layout) {
            None => own::allocate(layout),
            Some(pages) => own::take_set_aside(layout).or_else(|| allocate_large(pages)),
        };
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match pages_if_large(layout) {
            // SAFETY: the caller frees what `alloc` returned for this layout, which was not null.
            None => unsafe { own::deallocate(NonNull::new_unchecked(ptr), layout) },
            // SAFETY: it came from `allocate_large`, with as many pages.
            Some(pages) => drop(unsafe { PageRun::from_raw(hw::ptr_to_phys(ptr), pages) }),
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller says that `new_size`, rounded up to the alignment, does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let is_as_large = pages_if_large(layout).is_some()
            && pages_if_large(layout) == pages_if_large(new_layout);
        if is_as_large {
            return ptr;
        }
        // SAFETY: the layout is valid, and not empty by the caller's promise.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both hold as many bytes as are copied and are different allocations; the old one is the caller's.
            unsafe {
                ptr::copy_nonoverlapping(ptr, new, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
        }
        new
    }
}

fn allocate_large(pages: usize) -> Option<NonNull<u8>> {
    let run = frame::alloc_run(pages, FrameKind::KernelHeap).ok()?;
    NonNull::new(hw::phys_to_ptr(run.into_raw()))
}
