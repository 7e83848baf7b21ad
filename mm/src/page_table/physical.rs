//! Physical memory that no owner of frames accounts for, as something that safe code may map.

use crate::addr::PhysAddr;

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

    /// This range and `next` as one; `None` unless `next` begins where this one ends.
    pub fn joined_with(self, next: PhysicalRange) -> Option<PhysicalRange> {
        let len_bytes = self.len_bytes.checked_add(next.len_bytes)?;
        let end = self.start.checked_add(self.len_bytes)?;
        (end == next.start).then_some(PhysicalRange {
            start: self.start,
            len_bytes,
        })
    }
}
