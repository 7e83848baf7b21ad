//! Memory that physical regions can show.

use core::cell::UnsafeCell;

use mm::addr::{PAGE_SIZE, PhysAddr};
use mm::page_table::PhysicalRange;

use super::Failure;

/// Memory of the kernel's image that is there to be shown by regions.
#[repr(C, align(4096))]
pub(super) struct Shown(UnsafeCell<[u8; Shown::BYTES]>);

// SAFETY: nobody makes a reference to the contents.
unsafe impl Sync for Shown {}

impl Shown {
    /// How many pages it has.
    pub(super) const PAGES: usize = 8;
    const BYTES: usize = Shown::PAGES * PAGE_SIZE;
}

static SHOWN: Shown = Shown(UnsafeCell::new([0; Shown::BYTES]));

/// That memory, as something to map.
pub(super) fn shown_memory() -> Result<PhysicalRange, Failure> {
    // The kernel's half is mapped one to one.
    let start = PhysAddr::new(SHOWN.0.get().expose_provenance() as u64);
    // SAFETY: the memory is the kernel image's, so it is never handed out, and nobody uses it as a value of Rust's.
    let range = unsafe { PhysicalRange::new(start, Shown::BYTES as u64) };
    range.ok_or(Failure::Not("the memory is whole pages"))
}
