//! `malloc`, `calloc`, `realloc` and `free`, over the heap of `ulib`.
//!
//! Before each block lies its length, which C does not give back.

use alloc::alloc::{alloc, alloc_zeroed, dealloc, realloc as reallocate};
use core::alloc::Layout;
use core::ptr;

/// The alignment that suits every type, and the room for the length.
const ALIGNMENT: usize = 16;

/// A block of this many bytes with its length in front.
fn layout(len: usize) -> Option<Layout> {
    Layout::from_size_align(len.checked_add(ALIGNMENT)?, ALIGNMENT).ok()
}

/// Notes the length in a fresh block and returns where its bytes begin.
///
/// # Safety
/// `block` is null or a block of [`layout`]`(len)`, of which nothing is used yet.
unsafe fn finish(block: *mut u8, len: usize) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // SAFETY: the block begins with room for the length, aligned for it.
    unsafe {
        block.cast::<usize>().write(len);
        block.add(ALIGNMENT)
    }
}

/// The block whose bytes begin at `bytes`, and its layout.
///
/// # Safety
/// The bytes come from this module, and have not been freed.
unsafe fn block_of(bytes: *mut u8) -> (*mut u8, Layout) {
    // SAFETY: `finish` has put the length there.
    unsafe {
        let block = bytes.sub(ALIGNMENT);
        let len = block.cast::<usize>().read();
        (
            block,
            Layout::from_size_align_unchecked(len + ALIGNMENT, ALIGNMENT),
        )
    }
}

/// A block of `len` bytes; null if there is no memory for it.
#[unsafe(no_mangle)]
extern "C" fn malloc(len: usize) -> *mut u8 {
    match layout(len) {
        // SAFETY: the layout is never empty, and the block is fresh.
        Some(layout) => unsafe { finish(alloc(layout), len) },
        None => ptr::null_mut(),
    }
}

/// A block of zeros for `count` objects of `len` bytes each; null if there is no memory for it.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, len: usize) -> *mut u8 {
    let len = count.checked_mul(len);
    match len.and_then(|len| Some((len, layout(len)?))) {
        // SAFETY: as in `malloc`.
        Some((len, layout)) => unsafe { finish(alloc_zeroed(layout), len) },
        None => ptr::null_mut(),
    }
}

/// The block as one of `len` bytes, perhaps elsewhere; null, with the old one as it was, if there is no memory for it.
///
/// # Safety
/// `bytes` is null or a block that has not been freed.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(bytes: *mut u8, len: usize) -> *mut u8 {
    if bytes.is_null() {
        return malloc(len);
    }
    let Some(new_layout) = layout(len) else {
        return ptr::null_mut();
    };
    // SAFETY: by the caller's word; the new length has been checked by making a layout of it.
    unsafe {
        let (block, layout) = block_of(bytes);
        finish(reallocate(block, layout, new_layout.size()), len)
    }
}

/// Gives a block back; of null nothing.
///
/// # Safety
/// `bytes` is null or a block that has not been freed and is not used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(bytes: *mut u8) {
    if !bytes.is_null() {
        // SAFETY: by the caller's word.
        unsafe {
            let (block, layout) = block_of(bytes);
            dealloc(block, layout);
        }
    }
}
