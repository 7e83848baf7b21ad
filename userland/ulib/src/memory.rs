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

/// Maps `len_pages` fresh pages of zeros at `address`, and returns them.
///
/// # Errors
/// Those of the system call `page_alloc_range`.
pub fn page_alloc_range(address: usize, len_pages: usize) -> Result<&'static mut [u8], Errno> {
    // SAFETY: nothing that the program has is changed: the kernel refuses addresses at which something is mapped.
    decode(unsafe { system_call::page_alloc_range(address, len_pages) })?;
    // SAFETY: the memory is there (the kernel has checked the product below), holds zeros, and nothing else refers to
    // it, since it was not there before.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, len_pages * PAGE_SIZE) })
}
