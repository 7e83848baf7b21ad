//! What each frame of the machine is at boot, from the memory map that the boot loader hands over.
//!
//! The maps may be unordered and their ranges may overlap or end within a frame: a frame is usable if some range of
//! memory contains all of it and no reserved range touches it.

use core::ops::Range;

use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};

/// A range of physical memory: `[start, end)`.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct MemoryRange {
    /// The first byte.
    pub start: PhysAddr,
    /// The byte after the last.
    pub end: PhysAddr,
}

impl MemoryRange {
    /// The range `[start, end)`.
    pub const fn new(start: u64, end: u64) -> MemoryRange {
        MemoryRange {
            start: PhysAddr::new(start),
            end: PhysAddr::new(end),
        }
    }

    /// The frames that lie wholly inside.
    fn frames_inside(self) -> Range<u32> {
        let start = self.start.as_u64().div_ceil(PAGE_SIZE as u64);
        number_of(start)..number_of(self.end.as_u64() >> PAGE_SHIFT)
    }

    /// The frames that have a byte in common with it.
    fn frames_touched(self) -> Range<u32> {
        let end = self.end.as_u64().div_ceil(PAGE_SIZE as u64);
        number_of(self.start.as_u64() >> PAGE_SHIFT)..number_of(end)
    }
}

/// Frame numbers fit 32 bits, two of which mean something else; memory above 16 TiB is left alone.
fn number_of(frame: u64) -> u32 {
    frame.min(u32::MAX as u64 - 1) as u32
}

/// What a frame is at boot.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Use {
    /// No memory.
    Absent,
    /// Memory that somebody uses already.
    Reserved,
    /// Memory for the pool.
    Free,
}

/// The machine's memory at boot.
pub(super) struct MemoryLayout<'a> {
    pub(super) memory: &'a [MemoryRange],
    pub(super) reserved: &'a [MemoryRange],
    /// Where the frame table is, once that is known.
    pub(super) table: Range<u32>,
}

impl MemoryLayout<'_> {
    /// The number of frames from 0 to the end of memory.
    pub(super) fn frame_count(&self) -> u32 {
        self.memory
            .iter()
            .map(|range| range.frames_inside().end)
            .max()
            .unwrap_or(0)
    }

    /// The machine's frames, in order, in runs of one use.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Range<u32>, Use)> + '_ {
        let frame_count = self.frame_count();
        let mut start = 0;
        core::iter::from_fn(move || {
            if start >= frame_count {
                return None;
            }
            let end = self.next_change(start).min(frame_count);
            let run = (start..end, self.use_of(start));
            start = end;
            Some(run)
        })
    }

    /// Where `frames` frames in a row are free, as high up as possible: low memory has other uses.
    pub(super) fn find_space(&self, frames: u32) -> Option<u32> {
        let free = self
            .runs()
            .filter(|(run, usage)| *usage == Use::Free && run.len() >= frames as usize);
        free.map(|(run, _)| run.end - frames).max()
    }

    /// The number of frames in use `usage`.
    pub(super) fn count(&self, usage: Use) -> usize {
        self.runs()
            .filter(|run| run.1 == usage)
            .map(|(run, _)| run.len())
            .sum()
    }

    fn use_of(&self, frame: u32) -> Use {
        let is_memory = self
            .memory
            .iter()
            .any(|range| range.frames_inside().contains(&frame));
        let is_reserved = self
            .reserved
            .iter()
            .any(|range| range.frames_touched().contains(&frame));
        match (is_memory, is_reserved) {
            (false, _) => Use::Absent,
            // Frame 0 is never used: a null pointer must not reach anything, and its number stands for "none".
            (true, false) if frame > 0 && !self.table.contains(&frame) => Use::Free,
            (true, _) => Use::Reserved,
        }
    }

    /// The first frame above `frame` where a range begins or ends.
    fn next_change(&self, frame: u32) -> u32 {
        let memory = self.memory.iter().map(|range| range.frames_inside());
        let reserved = self.reserved.iter().map(|range| range.frames_touched());
        let ranges = memory.chain(reserved).chain([self.table.clone(), 0..1]);
        ranges
            .flat_map(|range| [range.start, range.end])
            .filter(|&edge| edge > frame)
            .min()
            .unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryLayout, MemoryRange, Use};

    const MEMORY: [MemoryRange; 3] = [
        MemoryRange::new(0x10_0000, 0x20_0800),
        MemoryRange::new(0, 0x9_fc00),
        MemoryRange::new(0x1_0000_0000, 0x1_0001_0000),
    ];

    fn layout(reserved: &[MemoryRange]) -> MemoryLayout<'_> {
        MemoryLayout {
            memory: &MEMORY,
            reserved,
            table: 0..0,
        }
    }

    #[test]
    fn partly_covered_frames_are_not_memory_and_partly_reserved_ones_are_reserved() {
        let reserved = [MemoryRange::new(0x10_0fff, 0x10_1001)];
        let runs: Vec<_> = layout(&reserved).runs().collect();
        assert_eq!(
            runs,
            [
                (0..1, Use::Reserved),
                (1..0x9f, Use::Free),
                (0x9f..0x100, Use::Absent),
                (0x100..0x102, Use::Reserved),
                (0x102..0x200, Use::Free),
                (0x200..0x10_0000, Use::Absent),
                (0x10_0000..0x10_0010, Use::Free),
            ]
        );
    }

    #[test]
    fn overlapping_ranges_count_once() {
        let reserved = [
            MemoryRange::new(0x10_0000, 0x10_3000),
            MemoryRange::new(0x10_1000, 0x10_2000),
        ];
        let memory = [MEMORY[0], MEMORY[0], MemoryRange::new(0x18_0000, 0x30_0000)];
        let layout = MemoryLayout {
            memory: &memory,
            reserved: &reserved,
            table: 0x150..0x160,
        };
        assert_eq!(layout.count(Use::Reserved), 3 + 16);
        assert_eq!(layout.count(Use::Free), 0x200 - 3 - 16);
    }

    #[test]
    fn space_is_found_at_the_top_of_the_highest_run_that_is_large_enough() {
        let layout = layout(&[]);
        assert_eq!(layout.find_space(16), Some(0x10_0000));
        assert_eq!(layout.find_space(17), Some(0x200 - 17));
        assert_eq!(layout.find_space(257), None);
        assert_eq!(layout.frame_count(), 0x10_0010);
    }

    #[test]
    fn ranges_that_are_empty_or_end_at_the_top_of_the_address_space_do_no_harm() {
        let memory = [
            MemoryRange::new(u64::MAX - 5, u64::MAX),
            MemoryRange::new(0x3000, 0x3000),
        ];
        let layout = MemoryLayout {
            memory: &memory,
            reserved: &[],
            table: 0..0,
        };
        assert_eq!(layout.count(Use::Free), 0);
    }
}
