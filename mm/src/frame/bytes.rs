//! Zeroing and copying whole pages, by loops of plain accesses.
//!
//! Under QEMU `rep stosb` takes 17 times as long as a loop of 8-byte stores and `rep stosq` twice; a loop of 16-byte
//! stores takes half, but one of 16-byte moves more (docs/design.md, "What QEMU makes cheap"). So zeroing is the
//! machine's business, and copying is done here. The accesses are volatile because the compiler would otherwise
//! recognise the loop and call `memset`, which uses just these instructions; and because a page that is copied may be
//! written by user code on another CPU meanwhile, which then copies some mixture.

use crate::addr::PAGE_SIZE;
use crate::hw;

/// Accesses between two looks at the loop's end.
const UNROLLED: usize = 64;

const WORDS: usize = PAGE_SIZE / size_of::<u64>();

const _: () = assert!(WORDS.is_multiple_of(UNROLLED));

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
pub unsafe fn copy_page(from: *const u8, to: *mut u8) {
    let (from, to) = (from.cast::<u64>(), to.cast::<u64>());
    for start in (0..WORDS).step_by(UNROLLED) {
        for index in start..start + UNROLLED {
            // SAFETY: 1. and 2.: both words lie in their pages, which the caller may read and overwrite.
            unsafe {
                to.add(index)
                    .write_volatile(from.add(index).read_volatile())
            };
        }
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
