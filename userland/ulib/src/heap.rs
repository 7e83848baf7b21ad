//! The program's heap: a TLSF allocator over pages that the kernel maps from `abi::layout::HEAP_BASE` on.
//!
//! Memory comes in steps of [`GROWTH_LEN`] bytes or more, each directly above the one before, and stays with the
//! program until it ends.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use abi::layout::{HEAP_BASE, PAGE_SIZE};
use rlsf::{FlexSource, FlexTlsf};

use crate::memory;
use crate::sync::RawMutex;

/// The least that the heap grows by.
const GROWTH_LEN: usize = 16 * PAGE_SIZE;

/// Where the heap's memory comes from.
struct Pages {
    end: usize,
}

// SAFETY: every block is fresh memory that nobody else has, and stays.
unsafe impl FlexSource for Pages {
    unsafe fn alloc(&mut self, min_size: usize) -> Option<NonNull<[u8]>> {
        let len = min_size
            .max(GROWTH_LEN)
            .checked_next_multiple_of(PAGE_SIZE)?;
        let start = NonNull::new(ptr::with_exposed_provenance_mut(self.end))?;
        // SAFETY: above the heap's end is nobody's memory: areas begin far above it.
        unsafe { memory::page_alloc_range(self.end, len / PAGE_SIZE).ok()? };
        self.end += len;
        Some(NonNull::slice_from_raw_parts(start, len))
    }

    unsafe fn realloc_inplace_grow(
        &mut self,
        block: NonNull<[u8]>,
        min_new_len: usize,
    ) -> Option<usize> {
        if block.as_ptr().cast::<u8>().addr() + block.len() != self.end {
            return None;
        }
        let more = (min_new_len - block.len())
            .max(GROWTH_LEN)
            .checked_next_multiple_of(PAGE_SIZE)?;
        // SAFETY: as in `alloc`.
        unsafe { memory::page_alloc_range(self.end, more / PAGE_SIZE).ok()? };
        self.end += more;
        Some(block.len() + more)
    }

    fn supports_realloc_inplace_grow(&self) -> bool {
        true
    }

    fn is_contiguous_growable(&self) -> bool {
        true
    }

    fn min_align(&self) -> usize {
        PAGE_SIZE
    }
}

/// Blocks up to 32 << 26 bytes (2 GiB), in 8 classes for each power of two.
type Tlsf = FlexTlsf<Pages, u32, u8, 26, 8>;

struct Heap {
    lock: RawMutex,
    tlsf: UnsafeCell<Tlsf>,
}

// SAFETY: `tlsf` is only touched in `with`, by the one who has the lock.
unsafe impl Sync for Heap {}

impl Heap {
    fn with<T>(&self, body: impl FnOnce(&mut Tlsf) -> T) -> T {
        self.lock.lock();
        // SAFETY: we have the lock, so nobody else is in here; `body` cannot allocate, which would be the only way for
        // this thread to come here again.
        let result = body(unsafe { &mut *self.tlsf.get() });
        self.lock.unlock();
        result
    }
}

// SAFETY: blocks come from the TLSF allocator, which keeps the contract of `GlobalAlloc`; `with` serialises its use.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|tlsf| tlsf.allocate(layout))
            .map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller promises that `alloc` or `realloc` returned the block, with this alignment.
            self.with(|tlsf| unsafe { tlsf.deallocate(block, layout.align()) });
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        let (Some(block), Ok(new_layout)) = (
            NonNull::new(block),
            Layout::from_size_align(new_len, layout.align()),
        ) else {
            return ptr::null_mut();
        };
        // SAFETY: as in `dealloc`; the alignment stays.
        self.with(|tlsf| unsafe { tlsf.reallocate(block, new_layout) })
            .map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

#[global_allocator]
static HEAP: Heap = Heap {
    lock: RawMutex::new(),
    tlsf: UnsafeCell::new(FlexTlsf::new(Pages { end: HEAP_BASE })),
};

/// Calls `body` while no thread is inside of the heap. It must not allocate.
pub(crate) fn while_quiet<T>(body: impl FnOnce() -> T) -> T {
    HEAP.lock.lock();
    let result = body();
    HEAP.lock.unlock();
    result
}
