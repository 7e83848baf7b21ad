//! Zeroing and copying whole pages.
//!
//! Under QEMU a loop of 16-byte stores is the quickest way to zero a page, and `rep stosb` takes 35 times as long. To copy
//! one, `rep movsq` takes the fewest instructions as QEMU counts them, and is what processors are quick at; by the clock
//! a loop of 8-byte moves takes QEMU a quarter less (docs/design.md, "What QEMU makes cheap"). A page that is copied may
//! be written by user code on another CPU meanwhile, and then some mixture is copied: so that is no access of Rust's.

use crate::addr::PAGE_SIZE;
use crate::hw;

const WORDS: usize = PAGE_SIZE / size_of::<u64>();

/// Fills a page with zeros.
///
/// # Safety
/// `page` is the address of a page of memory that is mapped writable, that the caller may overwrite and nobody else
/// reads as a Rust value.
#[inline]
pub unsafe fn zero_page(page: *mut u8) {
    // SAFETY: passed on.
    unsafe { hw::zero_page(page) };
}

/// Copies a page.
///
/// # Safety
/// 1. `from` is the address of a page of memory that is mapped; what it holds need not be initialised Rust values.
/// 2. `to` is as `zero_page` asks, and another page.
#[inline]
pub unsafe fn copy_page(from: *const u8, to: *mut u8) {
    // SAFETY: 1. and 2.: exactly the two pages are accessed, which the caller may read and overwrite; the direction flag is
    // clear, as everywhere in Rust; the stack is not used.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            inout("rcx") WORDS => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Whether a page holds only zeros.
///
/// # Safety
/// `page` is the address of a page of memory that is mapped.
pub unsafe fn is_zero_page(page: *const u8) -> bool {
    let words = page.cast::<u64>();
    // SAFETY: every word lies in the page.
    (0..WORDS).all(|index| unsafe { words.add(index).read_volatile() } == 0)
}

#[cfg(test)]
mod tests {
    use super::{copy_page, is_zero_page, zero_page};
    use crate::addr::PAGE_SIZE;

    #[repr(align(4096))]
    struct Pages([[u8; PAGE_SIZE]; 3]);

    #[test]
    fn a_page_is_copied_whole_and_nothing_beside_it() {
        let mut pages = Pages([[1; PAGE_SIZE], [2; PAGE_SIZE], [3; PAGE_SIZE]]);
        let from: [u8; PAGE_SIZE] = core::array::from_fn(|index| (index * 7 / 3) as u8);
        let source = Pages([from; 3]);
        // SAFETY: all of these are pages of this test's own.
        unsafe { copy_page(source.0[0].as_ptr(), pages.0[1].as_mut_ptr()) };
        assert!(pages.0 == [[1; PAGE_SIZE], from, [3; PAGE_SIZE]]);
    }

    #[test]
    fn a_page_is_zeroed_whole_and_nothing_beside_it() {
        let mut pages = Pages([[1; PAGE_SIZE], [2; PAGE_SIZE], [3; PAGE_SIZE]]);
        // SAFETY: a page of this test's own.
        unsafe { zero_page(pages.0[1].as_mut_ptr()) };
        assert!(pages.0 == [[1; PAGE_SIZE], [0; PAGE_SIZE], [3; PAGE_SIZE]]);
        // SAFETY: pages of this test's own.
        assert!(unsafe { is_zero_page(pages.0[1].as_ptr()) && !is_zero_page(pages.0[2].as_ptr()) });
    }
}
