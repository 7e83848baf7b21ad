//! Physical memory that no owner of frames accounts for, as something that safe code may map.

use geometry::Geometry;

use crate::addr::PhysAddr;
use crate::error::MapError;
use crate::page_table::perm::Perm;
use crate::page_table::vm_iter::{Access, VmIter};

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
    /// Whoever maps the range, and uses it by any address, does no harm: it is nobody's Rust value and no frame that is
    /// handed out, for as long as the machine runs.
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

impl<A: Access> VmIter<'_, A> {
    /// Maps the part of `range` at `offset` into the hole at this position, as a leaf of `level` with `perm`. The
    /// mapping owns nothing.
    ///
    /// # Errors
    /// `OutOfRange` if the range has no such part, there are no leaves of `level`, or the table may not map this
    /// address; `NotAligned` unless this position and the part are aligned to the size of the leaf; `AlreadyMapped` if
    /// something is mapped here, or has been in smaller pages; `NoMemory`. Then nothing has changed.
    pub fn try_map_physical(
        &mut self,
        range: &PhysicalRange,
        offset: u64,
        level: u32,
        perm: Perm,
    ) -> Result<(), MapError> {
        if !(1..=self.table.geometry().levels()).contains(&level) {
            return Err(MapError::OutOfRange);
        }
        let part = range
            .part(offset, self.table.geometry().span(level))
            .ok_or(MapError::OutOfRange)?;
        self.fill_leaf(part.start(), perm.for_leaf() | Perm::BORROWED, level)
    }
}
