//! The virtual map of one process: what its pages allow.
//!
//! User space is far too large for a picture, and nearly empty. So a row stands for 64 blocks, and only rows in which
//! there is a page are shown. How large a block has to be for all those rows to fit is found out along the way, and
//! holds from the next round on.

use alloc::vec::Vec;

use mm::NoMemory;
use mm::page_table::Perm;
use mm::space::SeenPage;

use crate::picture::Cell;
use crate::symbol::Right;

/// log2 of the number of blocks in a row.
const ROW_SHIFT: u32 = 6;
pub(crate) const BLOCKS_PER_ROW: usize = 1 << ROW_SHIFT;
/// Rows of the picture.
pub(crate) const BLOCK_ROWS: usize = 4;
/// log2 of the number of pages in all addresses.
const PAGES_SHIFT: usize = 52;

/// How many pages of a block allow what.
#[derive(Copy, Clone, Default)]
struct Block {
    /// For each of [`Right::ALL`], those of this process alone and those that may be shared.
    pages: [[u32; 2]; Right::ALL.len()],
}

/// What the pages of a process allow, block by block.
pub struct VirtualMap {
    blocks: Vec<Block>,
    /// Which rows of all addresses are shown.
    row_numbers: [u64; BLOCK_ROWS],
    rows: usize,
    /// log2 of the number of pages in a block.
    shift: u32,
    /// Of the pages so far: how many begin a row if a block has 2^index pages, but not if it has twice as many.
    new_rows: [u32; PAGES_SHIFT],
    last_page: Option<u64>,
    pages: u64,
}

impl VirtualMap {
    /// A map without pages.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new() -> Result<VirtualMap, NoMemory> {
        let mut blocks = Vec::new();
        let len = BLOCK_ROWS * BLOCKS_PER_ROW;
        blocks.try_reserve_exact(len).map_err(|_| NoMemory)?;
        blocks.resize(len, Block::default());
        Ok(VirtualMap {
            blocks,
            row_numbers: [0; BLOCK_ROWS],
            rows: 0,
            shift: 0,
            new_rows: [0; PAGES_SHIFT],
            last_page: None,
            pages: 0,
        })
    }

    /// Begins a new round, with blocks of the size that the last one has needed.
    pub fn clear(&mut self) {
        self.shift = self.needed_shift();
        self.blocks.fill(Block::default());
        self.rows = 0;
        self.new_rows.fill(0);
        self.last_page = None;
        self.pages = 0;
    }

    /// Takes in a page. Pages come in order of their addresses.
    pub fn add_page(&mut self, page: &SeenPage) {
        let right = match page.perm {
            perm if !perm.contains(Perm::USER) => Right::Kernel,
            perm if perm.contains(Perm::WRITE) => Right::Write,
            perm if !perm.contains(Perm::NO_EXECUTE) => Right::Execute,
            _ => Right::Read,
        };
        let mut next = page.va.as_u64() >> 12;
        let end = next + u64::from(page.len_pages);
        self.pages += end - next;
        while next < end {
            // The part that is in one row however small the blocks are.
            let part_end = (((next >> ROW_SHIFT) + 1) << ROW_SHIFT).min(end);
            self.note_row_of(next);
            self.add_to_row(next..part_end, right, page.is_shared);
            next = part_end;
        }
    }

    /// Notes for which sizes of a block `page` begins a row.
    fn note_row_of(&mut self, page: u64) {
        let sizes = match self.last_page {
            // The first page does for all sizes, and needs no note.
            None => 0,
            Some(last) => u64::BITS - ((last ^ page) >> ROW_SHIFT).leading_zeros(),
        };
        if let Some(largest) = sizes.checked_sub(1) {
            self.new_rows[largest as usize] += 1;
        }
        self.last_page = Some(page);
    }

    fn needed_shift(&self) -> u32 {
        let fits = |shift: &u32| {
            let further_rows: u32 = self.new_rows[*shift as usize..].iter().sum();
            (further_rows as usize) < BLOCK_ROWS
        };
        (0..PAGES_SHIFT as u32).find(fits).unwrap_or(0)
    }

    /// Takes in pages of one row. What finds no row is left out: the next round has larger blocks.
    fn add_to_row(&mut self, pages: core::ops::Range<u64>, right: Right, is_shared: bool) {
        let number = pages.start >> (self.shift + ROW_SHIFT);
        if self.rows == 0 || self.row_numbers[self.rows - 1] != number {
            let Some(place) = self.row_numbers.get_mut(self.rows) else {
                return;
            };
            *place = number;
            self.rows += 1;
        }
        let row = (self.rows - 1) * BLOCKS_PER_ROW;
        for page in pages {
            let column = (page >> self.shift) as usize % BLOCKS_PER_ROW;
            let counts = &mut self.blocks[row + column].pages[right as usize];
            counts[usize::from(is_shared)] += 1;
        }
    }

    /// How many pages of 4 KiB have been taken in.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// How many bytes a block has.
    pub(crate) fn block_bytes(&self) -> u64 {
        4096 << self.shift
    }

    /// The rows that have pages: the first address, and how each block is shown.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = Cell>)> {
        let numbers = self.row_numbers[..self.rows].iter();
        let rows = self.blocks.chunks(BLOCKS_PER_ROW);
        numbers.zip(rows).map(|(number, row)| {
            let address = number << (self.shift + ROW_SHIFT) << 12;
            (address, row.iter().map(|block| block.cell()))
        })
    }
}

impl Block {
    /// What most of its pages allow.
    fn cell(&self) -> Cell {
        let rights = Right::ALL.into_iter().zip(self.pages);
        let most = rights.max_by_key(|(_, pages)| pages.iter().sum::<u32>());
        match most {
            Some((right, [own, shared])) if own + shared > 0 => right.cell(shared > own),
            _ => Cell::BLANK,
        }
    }
}

#[cfg(test)]
mod tests {
    use mm::addr::{PhysAddr, VirtAddr};
    use mm::page_table::Perm;
    use mm::space::SeenPage;

    use super::VirtualMap;

    const START: u64 = 0xffff_8000_0000_0000;
    const DATA: Perm = Perm::USER_WRITE.union(Perm::NO_EXECUTE);

    fn page(number: u64, len_pages: u32, perm: Perm) -> SeenPage {
        SeenPage {
            va: VirtAddr::new(START + (number << 12)),
            pa: PhysAddr::new(0),
            len_pages,
            perm,
            is_shared: false,
            kind: None,
        }
    }

    fn map_of(pages: &[SeenPage]) -> VirtualMap {
        let mut map = VirtualMap::new().unwrap();
        // The second round has the right size.
        for _ in 0..2 {
            map.clear();
            pages.iter().for_each(|page| map.add_page(page));
        }
        map
    }

    /// The rows: the page number of the first address, and the characters.
    fn shown(map: &VirtualMap) -> Vec<(u64, String)> {
        map.rows()
            .map(|(address, cells)| {
                let text: String = cells.map(|cell| cell.character() as char).collect();
                ((address - START) >> 12, text.trim_end().to_owned())
            })
            .collect()
    }

    #[test]
    fn each_right_has_its_character_and_shared_pages_have_capitals() {
        let mut pages = [
            page(0, 1, Perm::USER_READ),
            page(1, 1, Perm::USER_READ.union(Perm::NO_EXECUTE)),
            page(2, 1, DATA),
            page(3, 1, Perm::PRESENT.union(Perm::WRITE)),
        ];
        assert_eq!(shown(&map_of(&pages)), [(0, "xrwk".to_owned())]);
        for page in &mut pages {
            page.is_shared = true;
        }
        assert_eq!(shown(&map_of(&pages)), [(0, "XRWK".to_owned())]);
    }

    #[test]
    fn only_rows_with_pages_are_shown_and_small_processes_page_by_page() {
        let pages = [0, 3, 64 + 1, 1 << 30].map(|number| page(number, 1, DATA));
        let map = map_of(&pages);
        let expected = [(0, "w  w"), (64, " w"), (1 << 30, "w")];
        assert_eq!(
            shown(&map),
            expected.map(|(first, text)| (first, text.to_owned()))
        );
        assert_eq!((map.pages(), map.block_bytes()), (4, 4096));
    }

    #[test]
    fn blocks_become_as_large_as_needed_for_all_rows_to_fit_and_small_again() {
        let mut map = map_of(&[page(0, 512, DATA)]);
        assert_eq!(map.block_bytes(), 2 * 4096);
        assert_eq!(shown(&map).len(), 4);
        assert!(shown(&map).iter().all(|(_, text)| text.len() == 64));
        let far =
            map_of(&[0, 1 << 10, 1 << 15, 1 << 20, 1 << 25].map(|number| page(number, 1, DATA)));
        assert_eq!(shown(&far).len(), 4);
        assert_eq!(far.pages(), 5);
        map.clear();
        map.clear();
        assert_eq!(map.block_bytes(), 4096);
    }

    #[test]
    fn a_gibibyte_in_one_page_fills_its_rows() {
        let map = map_of(&[page(0, 1 << 18, DATA)]);
        assert_eq!(map.block_bytes(), 4096 << 10);
        assert!(shown(&map).iter().all(|(_, text)| text == &"w".repeat(64)));
    }

    #[test]
    fn a_block_shows_what_most_of_its_pages_allow() {
        let mut pages = vec![page(0, 1, DATA), page(1, 2, Perm::USER_READ)];
        pages.push(page(1 << 9, 1, DATA));
        pages.extend([1 << 10, 1 << 11, 1 << 12].map(|number| page(number, 1, DATA)));
        let map = map_of(&pages);
        assert!(map.block_bytes() > 4 * 4096);
        assert!(shown(&map)[0].1.starts_with('x'), "{:?}", shown(&map));
    }
}
