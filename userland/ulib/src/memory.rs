//! Memory straight from the kernel.

use core::sync::atomic::{AtomicUsize, Ordering};

use abi::layout::PAGE_SIZE;
use abi::{Errno, decode};

use crate::system_call;

/// Maps `len_pages` fresh pages of zeros at `address`, in the place of pages that were mapped there in this way before.
///
/// # Safety
/// Whatever such pages there were, nothing uses them any more.
///
/// # Errors
/// Those of the system call `page_alloc_range`.
pub unsafe fn page_alloc_range(address: usize, len_pages: usize) -> Result<(), Errno> {
    // SAFETY: by the caller's word.
    decode(unsafe { system_call::page_alloc_range(address, len_pages) }).map(drop)
}

/// Gives back `len_pages` pages that [`page_alloc_range`] has mapped at `address`.
///
/// # Safety
/// Nothing uses them any more.
///
/// # Errors
/// Those of the system call `page_free`.
pub unsafe fn page_free(address: usize, len_pages: usize) -> Result<(), Errno> {
    // SAFETY: by the caller's word.
    decode(unsafe { system_call::page_free(address, len_pages) }).map(drop)
}

/// Where areas are, far above the program and its heap, and how far from each other.
const AREAS_START: usize = 0xffff_9000_0000_0000;
const AREAS_DISTANCE: usize = 1 << 36;
const AREAS_COUNT: usize = 256;

// How many areas have got their places. Relaxed: only the number itself counts.
static AREAS_PLACED: AtomicUsize = AtomicUsize::new(0);

/// An area of memory that grows upwards from its beginning. It stays with the program until that ends.
#[derive(Debug)]
pub struct Area {
    start: usize,
    len: usize,
}

impl Area {
    /// An area of no pages yet, with room for 64 GiB.
    ///
    /// # Panics
    /// If the program has had its 256 areas.
    pub fn new() -> Area {
        let index = AREAS_PLACED.fetch_add(1, Ordering::Relaxed);
        assert!(index < AREAS_COUNT, "no place for another area");
        Area {
            start: AREAS_START + index * AREAS_DISTANCE,
            len: 0,
        }
    }

    /// An area of no pages yet at a page-aligned address.
    ///
    /// # Safety
    /// Nothing else of the program, the heap and other areas included, uses pages from `page_alloc` above `start` as
    /// far as the area is going to grow.
    pub const unsafe fn at(start: usize) -> Area {
        Area { start, len: 0 }
    }

    /// Adds `len_pages` fresh pages of zeros at the end.
    ///
    /// # Errors
    /// Those of the system call `page_alloc_range`, and `ENOMEM` if the area would come near the next: then nothing has
    /// changed.
    pub fn grow(&mut self, len_pages: usize) -> Result<(), Errno> {
        if len_pages > (AREAS_DISTANCE - self.len) / PAGE_SIZE {
            return Err(Errno::ENOMEM);
        }
        let end = self.start.checked_add(self.len).ok_or(Errno::EINVAL)?;
        // SAFETY: above the area is nobody's memory, see `new` and `at`.
        unsafe { page_alloc_range(end, len_pages)? };
        // The kernel has checked the product: such a range lies in user space.
        self.len += len_pages * PAGE_SIZE;
        Ok(())
    }

    /// How many pages there are.
    pub const fn len_pages(&self) -> usize {
        self.len / PAGE_SIZE
    }

    /// The memory as words.
    pub fn words(&mut self) -> &mut [u64] {
        // SAFETY: `grow` has mapped all of it, page-aligned, for this area only, and any bytes are words.
        unsafe { core::slice::from_raw_parts_mut(self.start as *mut u64, self.len / 8) }
    }

    /// The words of one page.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn page(&mut self, index: usize) -> &mut [u64; PAGE_SIZE / 8] {
        match self.words().as_chunks_mut().0.get_mut(index) {
            Some(page) => page,
            None => panic!("the area has no page {index}"),
        }
    }
}

impl Default for Area {
    fn default() -> Area {
        Area::new()
    }
}
