//! Physical memory that no owner of frames accounts for, as something that safe code may map.

use crate::addr::PhysAddr;
use crate::error::MapError;
use crate::page_table::geometry::Geometry;
use crate::page_table::perm::Perm;
use crate::page_table::vm_iter::{Access, VmIter};

/// A range of physical memory, or of device registers, that may be mapped anywhere.
///
/// Invariant: whoever can use a mapping of it, with whatever rights, may access it, for ever.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct PhysicalRange {
    start: PhysAddr,
    len_bytes: u64,
}

impl PhysicalRange {
    /// The `len_bytes` bytes from `start` on.
    ///
    /// # Safety
    /// Whoever can use a mapping of it, with any rights (with `USER`, all user code of a space), may read, write and execute
    /// that memory, from now on and for ever: no Rust value that is not made for that lies there.
    pub const unsafe fn new(start: PhysAddr, len_bytes: u64) -> PhysicalRange {
        PhysicalRange { start, len_bytes }
    }

    /// The first address.
    pub const fn start(self) -> PhysAddr {
        self.start
    }

    /// The length in bytes.
    pub const fn len_bytes(self) -> u64 {
        self.len_bytes
    }

    /// The `len_bytes` bytes from `offset` on; `None` if the range has not as many.
    pub const fn part(self, offset: u64, len_bytes: u64) -> Option<PhysicalRange> {
        match (
            offset.checked_add(len_bytes),
            self.start.checked_add(offset),
        ) {
            (Some(end), Some(start)) if end <= self.len_bytes => {
                Some(PhysicalRange { start, len_bytes })
            }
            _ => None,
        }
    }
}

impl<A: Access> VmIter<'_, A> {
    /// Maps the part of `range` at `offset` into the hole at this position, as a leaf of `level` with `perm`. The mapping
    /// owns nothing.
    ///
    /// # Errors
    /// `OutOfRange` if the range has no such part, there are no leaves of `level`, or the table may not map this address;
    /// `NotAligned` unless this position and the part are aligned to the size of the leaf; `AlreadyMapped` if something is
    /// mapped here, or has been in smaller pages; `NoMemory`. Then nothing has changed.
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
