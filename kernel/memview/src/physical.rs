//! Physical memory: what each block of frames is used for, and by whom.
//!
//! A *round* begins with [`PhysicalMap::clear`] and takes in all runs of frames, then all pages that processes map. It
//! may take several drawings; what is to be seen meanwhile is the round before.

use alloc::vec::Vec;

use mm::NoMemory;
use mm::frame::{FrameKind, FrameRun, FrameState};

use crate::picture::Cell;
use crate::symbol::{Pid, Use};

/// Blocks in a row of the picture.
pub(crate) const BLOCKS_PER_ROW: usize = 64;
/// Rows of the picture.
pub(crate) const BLOCK_ROWS: usize = 8;
const BLOCKS: usize = BLOCK_ROWS * BLOCKS_PER_ROW;

/// What frames are counted as, before it is known whose they are.
const COUNTED: [Use; 6] = [
    Use::Reserved,
    Use::Kernel,
    Use::Tables,
    Use::Files,
    Use::User,
    Use::Free,
];
const FREE: usize = COUNTED.len() - 1;

/// What there is in a block of frames.
#[derive(Copy, Clone, Default)]
struct Block {
    /// How many frames of each of [`COUNTED`].
    frames: [u32; COUNTED.len()],
    owners: Majority,
}

/// Who has most of several things, if anybody has more than half; otherwise one of those who have some. (So the vote
/// needs no list of owners: two of different owners cancel each other out.)
#[derive(Copy, Clone, Default)]
struct Majority {
    candidate: Option<Owner>,
    votes: u32,
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Owner {
    Several,
    Process(Pid),
}

impl Majority {
    fn add(&mut self, owner: Owner, votes: u32) {
        if self.candidate == Some(owner) {
            self.votes += votes;
        } else if self.votes >= votes && self.candidate.is_some() {
            self.votes -= votes;
        } else {
            self.candidate = Some(owner);
            self.votes = votes - self.votes;
        }
    }
}

/// What physical memory is used for, block by block.
pub struct PhysicalMap {
    blocks: Vec<Block>,
    /// log2 of the number of frames in a block.
    shift: u32,
}

impl PhysicalMap {
    /// A map of the frames `0..frames`.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(frames: u32) -> Result<PhysicalMap, NoMemory> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(BLOCKS).map_err(|_| NoMemory)?;
        blocks.resize(BLOCKS, Block::default());
        let per_block = frames.div_ceil(BLOCKS as u32).max(1);
        Ok(PhysicalMap {
            blocks,
            shift: per_block.next_power_of_two().ilog2(),
        })
    }

    /// Begins a new round.
    pub fn clear(&mut self) {
        self.blocks.fill(Block::default());
    }

    /// Takes in a run of frames.
    pub fn add_run(&mut self, run: &FrameRun) {
        let counted = match run.state {
            FrameState::Absent => return,
            FrameState::Free | FrameState::Cached => Use::Free,
            FrameState::Reserved => Use::Reserved,
            FrameState::InUse { kind, .. } => match kind {
                FrameKind::Kernel
                | FrameKind::KernelHeap
                | FrameKind::KernelStack
                | FrameKind::Pipe => Use::Kernel,
                FrameKind::PageTable => Use::Tables,
                FrameKind::File => Use::Files,
                FrameKind::Anonymous => Use::User,
            },
        };
        if let Some(place) = COUNTED.iter().position(|&usage| usage == counted) {
            self.for_each_block(u64::from(run.number), 1 << run.order, |block, frames| {
                block.frames[place] += frames;
            });
        }
    }

    /// Takes in a page of `len_frames` frames from frame `number` on, which `process` maps, and perhaps others too.
    pub fn add_page(&mut self, number: u64, len_frames: u32, process: Pid, is_shared: bool) {
        let owner = match is_shared {
            true => Owner::Several,
            false => Owner::Process(process),
        };
        self.for_each_block(number, len_frames, |block, frames| {
            block.owners.add(owner, frames);
        });
    }

    /// Calls `visit` for each block that has some of the frames, with how many it has.
    fn for_each_block(&mut self, first: u64, frames: u32, mut visit: impl FnMut(&mut Block, u32)) {
        let (shift, end) = (self.shift, first + u64::from(frames));
        let mut next = first;
        while next < end {
            let block_end = ((next >> shift) + 1) << shift;
            let part_end = block_end.min(end);
            if let Some(block) = self.blocks.get_mut((next >> shift) as usize) {
                visit(block, (part_end - next) as u32);
            }
            next = part_end;
        }
    }

    /// How many bytes a block has.
    pub(crate) fn block_bytes(&self) -> u64 {
        4096 << self.shift
    }

    /// How each block is shown, row by row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Cell>> {
        let rows = self.blocks.chunks(BLOCKS_PER_ROW);
        rows.map(|row| row.iter().map(|block| block.cell()))
    }
}

impl Block {
    /// A block in which processes have memory shows one that has most of it. Any other block shows what most of it is
    /// used for, as far as it is used. It is bright if at least half of it is used.
    fn cell(&self) -> Cell {
        let present: u32 = self.frames.iter().sum();
        let used = present - self.frames[FREE];
        self.shown_as().cell(2 * used >= present)
    }

    fn shown_as(&self) -> Use {
        let counted = COUNTED.iter().zip(self.frames);
        let has_user_memory = counted
            .clone()
            .any(|(&usage, frames)| usage == Use::User && frames > 0);
        match self.owners.candidate {
            Some(Owner::Several) if has_user_memory => return Use::Shared,
            Some(Owner::Process(pid)) if has_user_memory => return Use::Process(pid),
            _ => {}
        }
        let most = counted.take(FREE).max_by_key(|(_, frames)| *frames);
        match most {
            Some((&usage, 1..)) => usage,
            _ if self.frames[FREE] > 0 => Use::Free,
            _ => Use::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use mm::frame::{FrameKind, FrameRun, FrameState};

    use super::PhysicalMap;
    use crate::picture::Colour;

    fn in_use(kind: FrameKind) -> FrameState {
        FrameState::InUse {
            kind,
            references: 1,
        }
    }

    fn add(map: &mut PhysicalMap, number: u32, order: u8, state: FrameState) {
        map.add_run(&FrameRun {
            number,
            order,
            state,
        });
    }

    /// The characters of all blocks, without those at the end that no memory has.
    fn shown(map: &PhysicalMap) -> String {
        let cells = map.rows().flatten();
        let text: String = cells.map(|cell| cell.character() as char).collect();
        text.trim_end().to_owned()
    }

    #[test]
    fn a_block_has_as_many_frames_as_needed_for_all_memory_to_fit() {
        for (frames, block_frames) in [
            (1, 1),
            (512, 1),
            (513, 2),
            (1 << 18, 512),
            (u32::MAX, 1 << 23),
        ] {
            let map = PhysicalMap::new(frames).unwrap();
            assert_eq!(map.block_bytes(), 4096 * block_frames, "{frames}");
        }
    }

    #[test]
    fn each_use_has_its_character() {
        let mut map = PhysicalMap::new(512).unwrap();
        add(&mut map, 0, 0, FrameState::Reserved);
        add(&mut map, 1, 0, FrameState::Free);
        add(&mut map, 2, 0, FrameState::Cached);
        add(&mut map, 3, 0, FrameState::Absent);
        for (number, kind) in (4..).zip(FrameKind::ALL) {
            add(&mut map, number, 0, in_use(kind));
        }
        assert_eq!(shown(&map), "R.. KKKT+FK");
    }

    #[test]
    fn a_run_and_a_page_reach_over_several_blocks() {
        let mut map = PhysicalMap::new(1024).unwrap();
        add(&mut map, 0, 3, in_use(FrameKind::Anonymous));
        add(&mut map, 8, 3, FrameState::Free);
        map.add_page(2, 4, 5, false);
        assert_eq!(shown(&map), "+55+....");
        map.clear();
        assert_eq!(shown(&map), "");
    }

    #[test]
    fn a_process_is_shown_however_little_it_has_and_otherwise_what_most_of_the_block_is_used_for() {
        let mut map = PhysicalMap::new(512 * 8).unwrap();
        for (number, kind) in [FrameKind::PageTable, FrameKind::Kernel, FrameKind::Kernel]
            .into_iter()
            .enumerate()
        {
            add(&mut map, number as u32, 0, in_use(kind));
        }
        add(&mut map, 3, 2, FrameState::Free);
        assert_eq!(shown(&map), "K");
        add(&mut map, 7, 0, in_use(FrameKind::Anonymous));
        assert_eq!(shown(&map), "K");
        map.add_page(7, 1, 9, false);
        assert_eq!(shown(&map), "9");
    }

    #[test]
    fn of_several_processes_the_one_with_most_pages_is_shown() {
        for order in [[3, 4, 4], [4, 3, 4], [4, 4, 3]] {
            let mut map = PhysicalMap::new(512 * 8).unwrap();
            add(&mut map, 0, 3, in_use(FrameKind::Anonymous));
            for (number, process) in (0..).zip(order) {
                map.add_page(number, 1, process, false);
            }
            assert_eq!(shown(&map), "4", "{order:?}");
            map.add_page(3, 4, 4, true);
            assert_eq!(shown(&map), "S", "{order:?}");
        }
    }

    #[test]
    fn what_no_process_has_any_more_is_not_shown_as_its() {
        let mut map = PhysicalMap::new(512).unwrap();
        add(&mut map, 0, 0, FrameState::Free);
        map.add_page(0, 1, 4, false);
        assert_eq!(shown(&map), ".");
    }

    #[test]
    fn a_block_is_bright_from_the_half_on() {
        let colour = |used: u8| {
            let mut map = PhysicalMap::new(512 * 4).unwrap();
            add(&mut map, 0, used, in_use(FrameKind::Kernel));
            for number in 1 << used..4 {
                add(&mut map, number, 0, FrameState::Free);
            }
            map.rows().flatten().next().unwrap().colour()
        };
        let bright = Colour::RED.bright();
        assert_eq!([0, 1, 2].map(colour), [Colour::RED, bright, bright]);
    }
}
