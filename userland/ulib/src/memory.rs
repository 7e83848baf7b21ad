//! Memory straight from the kernel.

use abi::layout::PAGE_SIZE;
use abi::{Errno, decode};

use crate::system_call;

/// Maps a fresh page of zeros at `address`.
///
/// That is safe: the kernel refuses an address at which something is mapped already.
///
/// # Errors
/// Those of the system call `page_alloc`.
pub fn page_alloc(address: usize) -> Result<(), Errno> {
    // SAFETY: nothing that the program has is changed, see above.
    decode(unsafe { system_call::page_alloc(address) }).map(drop)
}

/// Maps `len_pages` fresh pages of zeros at `address`.
///
/// That is safe: the kernel refuses addresses at which something is mapped already.
///
/// # Errors
/// Those of the system call `page_alloc_range`.
pub fn page_alloc_range(address: usize, len_pages: usize) -> Result<(), Errno> {
    // SAFETY: nothing that the program has is changed, see above.
    decode(unsafe { system_call::page_alloc_range(address, len_pages) }).map(drop)
}

/// An area of memory that grows upwards from its beginning. It stays with the program until that ends.
#[derive(Debug)]
pub struct Area {
    start: usize,
    len: usize,
}

impl Area {
    /// An area of no pages yet, at a page-aligned address where nothing is.
    pub const fn new(start: usize) -> Area {
        Area { start, len: 0 }
    }

    /// Adds `len_pages` fresh pages of zeros at the end.
    ///
    /// # Errors
    /// Those of the system call `page_alloc_range`: then nothing has changed.
    pub fn grow(&mut self, len_pages: usize) -> Result<(), Errno> {
        page_alloc_range(
            self.start.checked_add(self.len).ok_or(Errno::EINVAL)?,
            len_pages,
        )?;
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
        // SAFETY: `grow` has mapped all of it, page-aligned, where nothing was before; so only this area refers to it,
        // and any bytes are words.
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
