//! What the kernel's map shall contain, and which rights each address has by that.

use core::ops::Range;

use crate::addr::PAGE_SIZE;
use crate::frame::MemoryRange;
use crate::page_table::{Perm, X86};

/// What is to be mapped. Ranges may overlap: devices go before sections, and these before memory.
#[derive(Copy, Clone, Debug)]
pub struct KernelLayout<'a> {
    /// How many levels of page tables: 4 or 5.
    pub levels: u32,
    /// Whether the processor has pages of 1 GiB.
    pub has_gib_pages: bool,
    /// All memory, also what the firmware has left in it: readable and writable, not executable.
    pub memory: &'a [MemoryRange],
    /// Device registers: readable and writable, not cached.
    pub devices: &'a [MemoryRange],
    /// Parts of memory with other rights: the kernel's code and constants, the code that other CPUs start in.
    pub sections: &'a [Section],
}

/// A part of memory with rights of its own.
#[derive(Copy, Clone, Debug)]
pub struct Section {
    /// Whole pages, or it is extended to whole pages.
    pub range: MemoryRange,
    /// Beside `PRESENT`, which needs no mention.
    pub perm: Perm,
}

impl Section {
    /// A section with code: executable, and read-only.
    pub const fn code(range: MemoryRange) -> Section {
        Section {
            range,
            perm: Perm::empty(),
        }
    }

    /// A section with constants: read-only.
    pub const fn constants(range: MemoryRange) -> Section {
        Section {
            range,
            perm: Perm::NO_EXECUTE,
        }
    }
}

impl KernelLayout<'_> {
    /// The largest pages that may be used.
    pub(super) fn highest_leaf_level(&self) -> u32 {
        if self.has_gib_pages {
            X86::HIGHEST_LEAF_LEVEL
        } else {
            X86::HIGHEST_LEAF_LEVEL - 1
        }
    }

    /// The addresses that have the same rights, in order, with these rights. Neighbours differ.
    pub(super) fn segments(&self) -> impl Iterator<Item = (Range<u64>, Perm)> + '_ {
        let mut start = 0;
        core::iter::from_fn(move || {
            loop {
                let rights = self.rights_at(start);
                let mut end = self.next_edge(start)?;
                while self.rights_at(end) == rights {
                    end = self.next_edge(end)?;
                }
                let segment = start..end;
                start = end;
                if let Some(perm) = rights {
                    return Some((segment, perm));
                }
            }
        })
    }

    /// The rights of the page at `address`; `None` if it is not to be mapped.
    fn rights_at(&self, address: u64) -> Option<Perm> {
        let is_in = |range: &MemoryRange| pages_of(range).contains(&address);
        if address < PAGE_SIZE as u64 {
            return None;
        }
        if self.devices.iter().any(is_in) {
            return Some(Perm::WRITE | Perm::NO_EXECUTE | Perm::NO_CACHE | Perm::WRITE_THROUGH);
        }
        if let Some(section) = self.sections.iter().find(|section| is_in(&section.range)) {
            return Some(section.perm);
        }
        self.memory
            .iter()
            .any(is_in)
            .then_some(Perm::WRITE | Perm::NO_EXECUTE)
    }

    /// The first page above `address` where a range begins or ends.
    fn next_edge(&self, address: u64) -> Option<u64> {
        let sections = self.sections.iter().map(|section| &section.range);
        let ranges = self
            .memory
            .iter()
            .chain(self.devices)
            .chain(sections)
            .map(pages_of);
        let edges = ranges
            .filter(|pages| !pages.is_empty())
            .flat_map(|pages| [pages.start, pages.end]);
        edges
            .chain([PAGE_SIZE as u64])
            .filter(|edge| *edge > address)
            .min()
    }
}

/// The whole pages that have a byte in common with `range`.
fn pages_of(range: &MemoryRange) -> Range<u64> {
    let end = range
        .end
        .page_align_up()
        .unwrap_or(range.end.page_align_down());
    range.start.page_align_down().as_u64()..end.as_u64()
}

#[cfg(test)]
mod tests {
    use super::{KernelLayout, Section};
    use crate::frame::MemoryRange;
    use crate::page_table::Perm;

    const DATA: Perm = Perm::WRITE.union(Perm::NO_EXECUTE);
    const DEVICE: Perm = DATA.union(Perm::NO_CACHE).union(Perm::WRITE_THROUGH);

    fn segments(
        memory: &[(u64, u64)],
        devices: &[(u64, u64)],
        sections: &[Section],
    ) -> Vec<(u64, u64, Perm)> {
        let ranges = |pairs: &[(u64, u64)]| -> Vec<MemoryRange> {
            pairs
                .iter()
                .map(|&(start, end)| MemoryRange::new(start, end))
                .collect()
        };
        let (memory, devices) = (ranges(memory), ranges(devices));
        let layout = KernelLayout {
            levels: 4,
            has_gib_pages: true,
            memory: &memory,
            devices: &devices,
            sections,
        };
        layout
            .segments()
            .map(|(range, perm)| (range.start, range.end, perm))
            .collect()
    }

    #[test]
    fn adjacent_ranges_with_equal_rights_are_one_segment_without_page_zero() {
        assert_eq!(
            segments(&[(0x8000, 0x9_fc00), (0, 0x8000)], &[], &[]),
            [(0x1000, 0xa_0000, DATA)]
        );
    }

    #[test]
    fn devices_go_before_sections_and_sections_before_memory() {
        let code = Section::code(MemoryRange::new(0x3000, 0x5000));
        assert_eq!(
            segments(&[(0x1000, 0x8000)], &[(0x4000, 0x4010)], &[code]),
            [
                (0x1000, 0x3000, DATA),
                (0x3000, 0x4000, Perm::empty()),
                (0x4000, 0x5000, DEVICE),
                (0x5000, 0x8000, DATA),
            ]
        );
    }

    #[test]
    fn holes_are_not_mapped() {
        assert_eq!(
            segments(
                &[(0x1000, 0x2000), (0x9000, 0xa000), (0x5000, 0x5000)],
                &[],
                &[]
            ),
            [(0x1000, 0x2000, DATA), (0x9000, 0xa000, DATA)]
        );
    }
}
