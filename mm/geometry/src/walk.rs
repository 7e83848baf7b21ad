//! The walk that the machine makes for every address it translates, for any [`Geometry`].
//!
//! It reads one entry of a table of each level, from the root down, until an entry is a leaf, or is empty, and says
//! where it stopped. How an entry is read is the caller's business: from the kernel's memory, from a dump, from an
//! array in a test.

use crate::geometry::{Decoded, Geometry};

/// One entry that a walk reads.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Lookup {
    /// The physical address of the table.
    pub table: u64,
    /// The level of the table: 1 has the leaves, the root has the highest.
    pub level: u32,
    /// Which of its entries.
    pub index: usize,
}

/// Where a walk ended: the last entry that it read, and what that said.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Stop {
    /// The entry.
    pub at: Lookup,
    /// Its value.
    pub raw: u64,
}

/// Walks from the table `root` towards `address` and returns where it stops: a leaf or an empty entry.
///
/// `load` returns the word of the entry that it is asked for. The bits of `address` that the geometry has no use for
/// are ignored; see [`Geometry::is_canonical`].
#[inline(always)]
pub fn walk<G: Geometry>(
    geometry: G,
    root: u64,
    address: u64,
    mut load: impl FnMut(Lookup) -> u64,
) -> Stop {
    let mut table = root;
    let mut level = geometry.levels();
    loop {
        let at = Lookup {
            table,
            level,
            index: geometry.index(address, level),
        };
        let raw = load(at);
        match geometry.decode(raw, level) {
            Decoded::Table(next) => table = next,
            Decoded::Leaf(_) | Decoded::Empty => return Stop { at, raw },
        }
        level -= 1;
    }
}

/// The physical address that `address` is translated to, or `None` if it is not mapped or not canonical.
pub fn virtual_to_physical<G: Geometry>(
    geometry: G,
    root: u64,
    address: u64,
    load: impl FnMut(Lookup) -> u64,
) -> Option<u64> {
    if !geometry.is_canonical(address) {
        return None;
    }
    let stop = walk(geometry, root, address, load);
    match geometry.decode(stop.raw, stop.at.level) {
        Decoded::Leaf(start) => Some(start + (address & (geometry.span(stop.at.level) - 1))),
        Decoded::Table(_) | Decoded::Empty => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Lookup, virtual_to_physical};
    use crate::geometry::Geometry;
    use crate::tests::{PRESENT, Small};

    /// The small machine's memory: the root at 0x000 and one table at 0x100.
    struct Memory([u32; 128]);

    impl Memory {
        fn with(entries: &[(u64, usize, u64)]) -> Memory {
            let mut words = [0; 128];
            for &(table, index, raw) in entries {
                words[table as usize / 4 + index] = raw as u32;
            }
            Memory(words)
        }

        fn translate(&self, address: u64) -> Option<u64> {
            let load = |at: Lookup| {
                let byte = at.table as usize + at.index * Small.entry_bytes() as usize;
                u64::from(self.0[byte / 4])
            };
            virtual_to_physical(Small, 0, address, load)
        }
    }

    #[test]
    fn a_machine_with_small_pages_and_uneven_levels_translates() {
        let memory = Memory::with(&[(0, 15, 0x100 | PRESENT), (0x100, 63, 0xab00 | PRESENT)]);
        assert_eq!(Small.virtual_bits(), 18);
        assert_eq!(memory.translate(0x3_ff12), Some(0xab12));
    }

    #[test]
    fn an_empty_entry_of_either_level_ends_the_walk() {
        let memory = Memory::with(&[(0, 15, 0x100 | PRESENT), (0x100, 63, 0xab00)]);
        assert_eq!(memory.translate(0x3_ff12), None);
        assert_eq!(memory.translate(0x12), None);
    }

    #[test]
    fn an_address_wider_than_the_machine_is_not_translated() {
        let memory = Memory::with(&[(0, 0, 0x100 | PRESENT), (0x100, 0, 0xab00 | PRESENT)]);
        assert_eq!(memory.translate(0x34), Some(0xab34));
        assert_eq!(memory.translate((1 << 18) | 0x34), None);
    }
}
