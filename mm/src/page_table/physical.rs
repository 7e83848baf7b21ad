//! Ranges of physical memory that a mapping may show without owning it.

use crate::addr::PhysAddr;

/// A range of physical memory, or of device registers, that outlives whatever maps it.
///
/// Invariant: whole pages, and it does not wrap.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct PhysicalRange {
    start: PhysAddr,
    len_bytes: u64,
}

impl PhysicalRange {
    /// The `len_bytes` bytes from `start` on. None unless both are multiples of the page size and the end fits a word.
    ///
    /// # Safety
    /// Whoever maps the range, and uses it by any address, does no harm: it is nobody's Rust value and no frame that is handed
    /// out, for as long as the machine runs.
    pub unsafe fn new(start: PhysAddr, len_bytes: u64) -> Option<PhysicalRange> {
        let end = start.checked_add(len_bytes)?;
        (start.is_page_aligned() && end.is_page_aligned())
            .then_some(PhysicalRange { start, len_bytes })
    }

    /// The first address.
    pub fn start(self) -> PhysAddr {
        self.start
    }

    /// The length in bytes.
    pub fn len_bytes(self) -> u64 {
        self.len_bytes
    }

    /// The `len_bytes` bytes from `offset` on, both multiples of the page size. None unless the range has as many.
    pub fn part(self, offset: u64, len_bytes: u64) -> Option<PhysicalRange> {
        let left = self.len_bytes.checked_sub(offset)?;
        let start = self.start.checked_add(offset)?;
        let end = start.checked_add(len_bytes)?;
        (len_bytes <= left && start.is_page_aligned() && end.is_page_aligned())
            .then_some(PhysicalRange { start, len_bytes })
    }

    /// This range and `next` as one, if `next` begins where this one ends.
    pub fn joined_with(self, next: PhysicalRange) -> Option<PhysicalRange> {
        (self.start.checked_add(self.len_bytes)? == next.start).then_some(PhysicalRange {
            start: self.start,
            len_bytes: self.len_bytes.checked_add(next.len_bytes)?,
        })
    }
}
