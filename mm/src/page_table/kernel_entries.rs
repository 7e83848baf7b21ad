//! The entries for the kernel's half, which every root has a copy of.

use geometry::{ENTRIES, X86};

use crate::error::MapError;
use crate::flush::SpaceId;
use crate::page_table::PageTable;
use crate::page_table::perm::Entry;

/// A machine needs one entry for each 512 GiB of memory, and one for the window of kernel stacks.
const MOST_ENTRIES: usize = 16;

/// The entries of the kernel's root that are in use. They are borrowed: the tables below them live for ever, and nobody
/// frees them by way of a copy.
pub(crate) struct KernelEntries {
    geometry: X86,
    entries: [(usize, Entry); MOST_ENTRIES],
    len: usize,
}

impl KernelEntries {
    /// None at all, with 4 levels.
    pub(crate) const fn none() -> KernelEntries {
        KernelEntries {
            geometry: X86::FOUR_LEVELS,
            entries: [(0, Entry::EMPTY); MOST_ENTRIES],
            len: 0,
        }
    }

    /// Those of the kernel's own table, whose root does not change any more.
    ///
    /// # Errors
    /// `OutOfRange` if there are too many.
    pub(crate) fn of(kernel: &PageTable) -> Result<KernelEntries, MapError> {
        debug_assert!(kernel.space() == SpaceId::KERNEL);
        let mut found = KernelEntries {
            geometry: kernel.geometry(),
            ..KernelEntries::none()
        };
        for index in 0..ENTRIES / 2 {
            let entry = kernel.root().slot(index).load();
            if entry != Entry::EMPTY {
                *found
                    .entries
                    .get_mut(found.len)
                    .ok_or(MapError::OutOfRange)? = (index, entry);
                found.len += 1;
            }
        }
        Ok(found)
    }

    /// With how many levels the machine runs.
    #[inline]
    pub(super) fn geometry(&self) -> X86 {
        self.geometry
    }

    /// Puts the entries into the root of a new table.
    #[inline]
    pub(super) fn copy_to(&self, table: &PageTable) {
        for (index, entry) in &self.entries[..self.len] {
            table.root().slot(*index).set(*entry);
        }
    }

    /// Takes the entries out of the root of `table`, which no CPU has loaded any more.
    #[inline]
    pub(super) fn clear_from(&self, table: &PageTable) {
        for (index, _) in &self.entries[..self.len] {
            let _ = table.root().slot(*index).take();
        }
    }
}
