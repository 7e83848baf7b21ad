//! The frame table: one descriptor for each 4 KiB frame from address 0 to the end of memory.
//!
//! - **FRAME-1** Memory is divided into blocks of 2^order frames, aligned to their size: free ones, allocated ones,
//!   reserved ones and holes. The descriptor of a block's first frame, its head, carries the block's tag; every other
//!   descriptor of the block has the tag `INSIDE`. So the block of any frame is found by looking at the aligned-down
//!   frames, smallest alignment first, and stepping from head to head visits all memory.
//! - **FRAME-2** A tag is changed only by who has the block to itself: the buddy under its lock, the CPU whose cache
//!   holds it, or the only owner. A block that several big frames share may be split nevertheless: see `big`.
//! - **FRAME-3** `next` of a frame that is neither in a list of the buddy nor in a `FrameChain` is `UNLINKED`: so it
//!   begins, and whoever takes a frame out of a list makes it so again.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::kind::{FrameKind, FrameState};

/// The link of a frame that is in no list. Frame 0 is never allocated, so that no list has it.
pub(super) const UNLINKED: u32 = 0;

/// The link of the last frame of a list.
pub(super) const END: u32 = u32::MAX;

/// What a block is: state and order, packed into a word that one store writes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) struct Tag(u64);

const STATE_ABSENT: u64 = 1;
const STATE_RESERVED: u64 = 2;
const STATE_FREE: u64 = 3;
const STATE_CACHED: u64 = 4;
/// Of the first kind; the others follow.
const STATE_IN_USE: u64 = 16;
const ORDER_SHIFT: u32 = 8;

impl Tag {
    /// Of frames that are not the first of their block.
    pub(super) const INSIDE: Tag = Tag(0);
    /// Of a single free frame in some CPU's cache.
    pub(super) const CACHED: Tag = Tag(STATE_CACHED);

    pub(super) const fn absent(order: u32) -> Tag {
        Tag(STATE_ABSENT | (order as u64) << ORDER_SHIFT)
    }

    pub(super) const fn reserved(order: u32) -> Tag {
        Tag(STATE_RESERVED | (order as u64) << ORDER_SHIFT)
    }

    pub(super) const fn free(order: u32) -> Tag {
        Tag(STATE_FREE | (order as u64) << ORDER_SHIFT)
    }

    pub(super) const fn in_use(kind: FrameKind, order: u32) -> Tag {
        Tag((STATE_IN_USE + kind as u64) | (order as u64) << ORDER_SHIFT)
    }

    pub(super) const fn order(self) -> u32 {
        (self.0 >> ORDER_SHIFT) as u32 & 0xff
    }

    /// The number of the kind of an allocated block; `None` for all others.
    #[inline]
    pub(super) fn kind_index(self) -> Option<usize> {
        let index = (self.0 & 0xff).wrapping_sub(STATE_IN_USE) as usize;
        (index < FrameKind::COUNT).then_some(index)
    }

    /// The kind of an allocated block; `None` for all others.
    #[inline]
    pub(super) fn kind(self) -> Option<FrameKind> {
        Some(FrameKind::ALL[self.kind_index()?])
    }

    /// What the block is; `None` for a frame inside one.
    pub(super) fn state(self, references: u32) -> Option<FrameState> {
        match self.0 & 0xff {
            STATE_ABSENT => Some(FrameState::Absent),
            STATE_RESERVED => Some(FrameState::Reserved),
            STATE_FREE => Some(FrameState::Free),
            STATE_CACHED => Some(FrameState::Cached),
            _ => self
                .kind()
                .map(|kind| FrameState::InUse { kind, references }),
        }
    }
}

/// What the kernel knows of one frame.
#[repr(C)]
#[derive(Default)]
pub(super) struct Descriptor {
    tag: AtomicU64,
    /// Owners of the block, while it is allocated. Of the head only.
    pub(super) references: AtomicU32,
    /// For the owner's use, whatever the kind needs: a page-table page keeps which of its entries are used.
    pub(super) word: AtomicU32,
    /// The frame that follows in a list; see FRAME-3.
    pub(super) next: AtomicU32,
    /// The frame before, in a list of the buddy; means nothing elsewhere.
    pub(super) previous: AtomicU32,
}

const _: () = assert!(size_of::<Descriptor>() == 24);

impl Descriptor {
    // Tags and links are read and written Relaxed. A block passes from one CPU to another through the buddy's lock, or
    // through its owner's own means; these order what the CPUs see. A racy reader (the memory view) gets an old tag.

    #[inline]
    pub(super) fn tag(&self) -> Tag {
        Tag(self.tag.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn set_tag(&self, tag: Tag) {
        self.tag.store(tag.0, Ordering::Relaxed);
    }
}

/// The blocks, each as large as alignment allows, that together are the frames `[start, end)`.
pub(super) fn blocks(start: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut number = start;
    core::iter::from_fn(move || {
        let remaining = end.checked_sub(number).filter(|&frames| frames > 0)?;
        let order = number
            .trailing_zeros()
            .min(remaining.ilog2())
            .min(super::MAX_ORDER);
        let block = (number, order);
        number += 1 << order;
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::{FrameKind, FrameState, Tag, blocks};

    #[test]
    fn a_tag_keeps_kind_and_order_apart() {
        for kind in FrameKind::ALL {
            let tag = Tag::in_use(kind, 18);
            assert_eq!((tag.kind(), tag.order()), (Some(kind), 18));
        }
        assert_eq!(Tag::free(3).kind(), None);
        assert_eq!(Tag::INSIDE.state(0), None);
        assert_eq!(Tag::reserved(7).state(0), Some(FrameState::Reserved));
    }

    #[test]
    fn a_range_is_cut_into_aligned_blocks_without_gaps() {
        assert_eq!(blocks(1, 8).collect::<Vec<_>>(), [(1, 0), (2, 1), (4, 2)]);
        assert_eq!(blocks(8, 8).count(), 0);
        let mut expected = 5;
        for (number, order) in blocks(5, 1 << 20) {
            assert_eq!(number, expected);
            assert!(number.is_multiple_of(1 << order) && order <= 18);
            expected += 1 << order;
        }
        assert_eq!(expected, 1 << 20);
    }
}
