//! The buddy allocator: free blocks of 2^order frames, one list for each order.
//!
//! A block's buddy is the other half of the block twice as large. Freeing a block whose buddy is free too makes the
//! larger block; allocating splits one. The lists are linked through the descriptors, both ways, because the buddy of
//! a freed block is taken out of the middle of its list. Nothing here allocates or touches the memory itself.
//!
//! The first frame of a block's buddy is always some block's head (FRAME-1): blocks are aligned to their size, so what
//! contains the buddy without being it contains the block as well. Hence one look at its tag decides.

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use super::descriptor::{Descriptor, END, Tag, UNLINKED};

/// The largest order: 2^18 frames are 1 GiB.
pub const MAX_ORDER: u32 = 18;

const ORDERS: usize = MAX_ORDER as usize + 1;

/// The free blocks of a frame table. Every method takes the table that the lists run through.
pub(super) struct Buddy {
    first: [u32; ORDERS],
    /// Bit k is set when order k has a block.
    orders_with_blocks: u32,
    free_frames: usize,
}

impl Buddy {
    /// Without any memory yet.
    pub(super) const fn new() -> Buddy {
        Buddy {
            first: [END; ORDERS],
            orders_with_blocks: 0,
            free_frames: 0,
        }
    }

    /// The number of frames in all lists.
    pub(super) fn free_frames(&self) -> usize {
        self.free_frames
    }

    /// Takes the free block of at least 2^`order` frames that splits least, and returns the first frame of what was
    /// asked for, now with the tag `tag`: from here on, nobody may find it free.
    pub(super) fn take(&mut self, table: &[Descriptor], order: u32, tag: Tag) -> Option<u32> {
        let candidates = self.orders_with_blocks & (u32::MAX << order);
        if candidates == 0 {
            return None;
        }
        let found = candidates.trailing_zeros();
        let number = self.first[found as usize];
        self.unlink(table, number, found);
        for half in (order..found).rev() {
            self.push(table, number + (1 << half), half);
        }
        table[number as usize].set_tag(tag);
        self.free_frames -= 1 << order;
        Some(number)
    }

    /// Takes the best block for a cache that wants single frames, at most 2^`most` of them: a small block rather than
    /// a part of a larger one. All its frames become cached ones.
    pub(super) fn take_singles(&mut self, table: &[Descriptor], most: u32) -> Option<Range<u32>> {
        if self.orders_with_blocks == 0 {
            return None;
        }
        let order = self.orders_with_blocks.trailing_zeros().min(most);
        let number = self.take(table, order, Tag::CACHED)?;
        for single in &table[number as usize + 1..][..(1 << order) - 1] {
            single.set_tag(Tag::CACHED);
        }
        Some(number..number + (1 << order))
    }

    /// Makes the 2^`order` frames from `number` on free, merged with their buddy as often as that is free as well.
    pub(super) fn give(&mut self, table: &[Descriptor], mut number: u32, mut order: u32) {
        self.free_frames += 1 << order;
        while order < MAX_ORDER {
            let buddy = number ^ (1 << order);
            if table
                .get(buddy as usize)
                .is_none_or(|head| head.tag() != Tag::free(order))
            {
                break;
            }
            self.unlink(table, buddy, order);
            table[(number | buddy) as usize].set_tag(Tag::INSIDE);
            number &= buddy;
            order += 1;
        }
        self.push(table, number, order);
    }

    fn push(&mut self, table: &[Descriptor], number: u32, order: u32) {
        let head = &table[number as usize];
        let second = self.first[order as usize];
        head.set_tag(Tag::free(order));
        head.next.store(second, Relaxed);
        head.previous.store(END, Relaxed);
        if second != END {
            table[second as usize].previous.store(number, Relaxed);
        }
        self.first[order as usize] = number;
        self.orders_with_blocks |= 1 << order;
    }

    fn unlink(&mut self, table: &[Descriptor], number: u32, order: u32) {
        let head = &table[number as usize];
        let next = head.next.load(Relaxed);
        let previous = head.previous.load(Relaxed);
        head.next.store(UNLINKED, Relaxed);
        if next != END {
            table[next as usize].previous.store(previous, Relaxed);
        }
        if previous != END {
            table[previous as usize].next.store(next, Relaxed);
        } else {
            self.first[order as usize] = next;
            if next == END {
                self.orders_with_blocks &= !(1 << order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::descriptor::blocks;
    use super::{Buddy, Descriptor, MAX_ORDER, Tag, UNLINKED};
    use crate::frame::FrameKind;
    use core::sync::atomic::Ordering::Relaxed;
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    fn table_of(frames: usize) -> Vec<Descriptor> {
        (0..frames).map(|_| Descriptor::default()).collect()
    }

    /// A buddy that has the frames `[1, frames)`.
    fn filled(table: &[Descriptor]) -> Buddy {
        let mut buddy = Buddy::new();
        table[0].set_tag(Tag::reserved(0));
        for (number, order) in blocks(1, table.len() as u32) {
            buddy.give(table, number, order);
        }
        buddy
    }

    /// FRAME-1, checked from head to head: the free blocks as (number, order).
    fn free_blocks(table: &[Descriptor]) -> Vec<(u32, u32)> {
        let mut free = Vec::new();
        let mut number = 0;
        while number < table.len() {
            let tag = table[number].tag();
            assert_ne!(tag, Tag::INSIDE, "frame {number} has no block");
            if tag == Tag::free(tag.order()) {
                free.push((number as u32, tag.order()));
            }
            for inside in &table[number + 1..number + (1 << tag.order())] {
                assert_eq!(inside.tag(), Tag::INSIDE);
            }
            number += 1 << tag.order();
        }
        free
    }

    #[test]
    fn a_freed_gibibyte_is_one_block_again() {
        let table = table_of(2 << MAX_ORDER);
        let mut buddy = filled(&table);
        let before = free_blocks(&table);
        let all: Vec<u32> = core::iter::from_fn(|| buddy.take(&table, 0, Tag::CACHED)).collect();
        assert_eq!((all.len(), buddy.free_frames()), (table.len() - 1, 0));
        assert!(
            all.iter()
                .all(|&number| table[number as usize].next.load(Relaxed) == UNLINKED)
        );
        for number in all {
            buddy.give(&table, number, 0);
        }
        assert_eq!(free_blocks(&table), before);
        assert_eq!(before.last(), Some(&(1 << MAX_ORDER, MAX_ORDER)));
    }

    #[test]
    fn the_smallest_block_that_fits_is_split() {
        let table = table_of(64);
        let mut buddy = filled(&table);
        assert_eq!(
            buddy.take(&table, 2, Tag::CACHED),
            Some(4),
            "of 1, 2, 4, 8, 16 and 32 frames"
        );
        assert_eq!(buddy.take_singles(&table, 4), Some(1..2));
        assert_eq!(buddy.take(&table, 6, Tag::CACHED), None);
        assert_eq!(buddy.free_frames(), 63 - 4 - 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u32),
        TakeSingles(u32),
        Give(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u32..7).prop_map(Step::Take),
            (0u32..5).prop_map(Step::TakeSingles),
            (0usize..1000).prop_map(Step::Give),
            Just(Step::Give(0)),
        ];
        proptest::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_counts_are_exact_and_all_merges_back(steps in steps(), frames in 3usize..600) {
            let table = table_of(frames);
            let mut buddy = filled(&table);
            let before = free_blocks(&table);
            let mut held: Vec<(u32, u32)> = Vec::new();
            let mut is_held = vec![false; frames];
            for step in steps {
                let taken: Vec<(u32, u32)> = match step {
                    Step::Take(order) => {
                        let tag = Tag::in_use(FrameKind::Kernel, order);
                        buddy.take(&table, order, tag).map(|number| (number, order)).into_iter().collect()
                    }
                    Step::TakeSingles(most) => {
                        buddy.take_singles(&table, most).into_iter().flatten().map(|number| (number, 0)).collect()
                    }
                    Step::Give(_) if held.is_empty() => Vec::new(),
                    Step::Give(index) => {
                        let (number, order) = held.swap_remove(index % held.len());
                        is_held[number as usize..][..1 << order].fill(false);
                        buddy.give(&table, number, order);
                        Vec::new()
                    }
                };
                for (number, order) in taken {
                    assert!(number.is_multiple_of(1 << order));
                    let frames_taken = &mut is_held[number as usize..][..1 << order];
                    assert!(frames_taken.iter().all(|&held| !held), "handed out twice");
                    frames_taken.fill(true);
                    held.push((number, order));
                }
                let free: usize = is_held[1..].iter().filter(|&&held| !held).count();
                assert_eq!(buddy.free_frames(), free);
                assert_eq!(free_blocks(&table).iter().map(|&(_, order)| 1usize << order).sum::<usize>(), free);
            }
            for (number, order) in held {
                buddy.give(&table, number, order);
            }
            assert_eq!(free_blocks(&table), before);
        }
    }
}
