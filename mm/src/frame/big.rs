//! Memory for big pages: a [`BigFrame`] is one reference to 2^order frames in a row.
//!
//! The guarantee: several owners can share a range; each can cut his reference into references of the range's parts,
//! whatever the others do at the time, and without their doing anything; and each frame is freed once, with its last
//! reference.
//!
//! - **BIG-1** A big frame owns one reference of each block that its range consists of *now*. At first that is one
//!   block.
//! - **BIG-2** Who cuts his reference splits the block. Each part gets a head of its own, with the count that the block
//!   had. So every other owner of the block owns one reference of each part from then on, and BIG-1 holds for him too,
//!   although he was not asked.
//! - **BIG-3** While somebody owns a big frame, what others do makes the blocks of its range only smaller: blocks
//!   become one again ([`BigFrame::try_unite`]) only if one owner has the only reference to each of them.
//!
//! The lock `SHAPES` guards the extent and the count of blocks of several frames that big frames own. Who splits such a
//! block, or changes or believes its count, holds it. So if one owner drops a block while another splits it, one of the
//! two comes first: either the drop finds the block whole, and the split copies a count that is one less; or the drop
//! finds parts, and gives up one reference of each. Between the blocks of a range the lock is let go, because by BIG-3
//! what has been seen of them can only become finer meanwhile.
//!
//! A single frame is not split any more, so that its count needs no lock: a [`Frame`] that was a part of something
//! larger is shared and dropped like any other.

use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::ops::Range;
use core::sync::atomic::Ordering;

use smp::{SpinLock, rank};

use super::descriptor::{Descriptor, Tag};
use super::kind::FrameKind;
use super::owner::{Frame, number_at};
use super::{bytes, cache, table};
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use crate::error::NoMemory;
use crate::hw;

/// See the module's page. What it guards is in descriptors.
static SHAPES: SpinLock<(), rank::BigFrames> = SpinLock::new(());

/// How many single frames are found at a time.
const MOST_SINGLES: usize = 512;

/// One reference to 2^order frames in a row, aligned to their size: what a big page maps.
///
/// Invariant: BIG-1; and none of the blocks reaches out of the range.
#[must_use = "dropping a big frame frees it"]
#[derive(Debug)]
pub struct BigFrame {
    first: NonZeroU32,
    order: u32,
}

/// What a range of frames begins with.
enum Front {
    /// A block of several frames, with `SHAPES` locked.
    Block(NonZeroU32, Tag),
    /// Blocks of one frame each.
    Singles(Range<u32>),
}

impl BigFrame {
    /// The block that the pool has just handed out, with one reference.
    pub(super) fn adopt(first: NonZeroU32, order: u32) -> BigFrame {
        BigFrame { first, order }
    }

    /// The physical address of the first byte.
    pub fn pa(&self) -> PhysAddr {
        PhysAddr::new((self.first.get() as u64) << PAGE_SHIFT)
    }

    /// log2 of the number of frames.
    pub fn order(&self) -> u32 {
        self.order
    }

    /// The number of frames.
    pub fn len_pages(&self) -> usize {
        1 << self.order
    }

    /// Where the kernel reaches each page of the range, in order. They may be mapped elsewhere too.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = *mut u8> + use<> {
        let first = hw::phys_to_ptr(self.pa());
        (0..self.len_pages()).map(move |index| first.wrapping_add(index * PAGE_SIZE))
    }

    /// Another reference to the same memory.
    pub fn share(&self) -> BigFrame {
        self.visit(|front| {
            match front {
                // Relaxed: as in `Frame::share`.
                Front::Block(head, _) => {
                    descriptor(head).references.fetch_add(1, Ordering::Relaxed);
                }
                // BIG-1: the reference is the new big frame's.
                Front::Singles(numbers) => borrow_frames(numbers).for_each(|frame| {
                    let _ = frame.share().into_raw();
                }),
            }
            true
        });
        BigFrame { ..*self }
    }

    /// Whether there is no other reference to any frame of the range. If so it stays so as long as the caller keeps
    /// this one to itself.
    pub fn is_sole_owner(&self) -> bool {
        self.visit(|front| match front {
            // Acquire pairs with the Release in `drop`: what the last other owner did with the memory is over.
            Front::Block(head, _) => descriptor(head).references.load(Ordering::Acquire) == 1,
            Front::Singles(numbers) => borrow_frames(numbers).all(|frame| frame.is_sole_owner()),
        })
    }

    /// A new big frame of the kind `kind` with the contents of the 2^`order` pages from page `first` on.
    ///
    /// # Errors
    /// As [`super::alloc_big`].
    pub fn copy_part(
        &self,
        first: usize,
        order: u32,
        kind: FrameKind,
    ) -> Result<BigFrame, NoMemory> {
        let copy = super::alloc_big(order, kind)?;
        // SAFETY: the new memory is nobody else's yet.
        unsafe { self.copy_pages(first, copy.pages()) };
        Ok(copy)
    }

    /// A new frame of the kind `kind` with the contents of page `index`.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn copy_page(&self, index: usize, kind: FrameKind) -> Result<Frame, NoMemory> {
        let copy = super::alloc(kind)?;
        // SAFETY: as above.
        unsafe { self.copy_pages(index, core::iter::once(copy.as_ptr())) };
        Ok(copy)
    }

    /// Copies the pages from page `first` on to the pages `targets`. Panics if there are not as many.
    ///
    /// # Safety
    /// `targets` are pages of memory that are mapped, and nobody else's.
    unsafe fn copy_pages(&self, first: usize, targets: impl ExactSizeIterator<Item = *mut u8>) {
        let pages = self.pages().skip(first);
        assert!(
            targets.len() <= pages.len(),
            "{} pages from page {first} of a big frame",
            targets.len()
        );
        for (from, to) in pages.zip(targets) {
            // SAFETY: 1. `from` is this big frame's memory, and stays while `self` lives; 2. the caller says so of
            // `to`.
            unsafe { bytes::copy_page(from, to) };
        }
    }

    /// Makes the range one block again, if this is the only reference to any of it and all of it was allocated for the
    /// same. Returns whether it is one block now.
    pub fn try_unite(&mut self) -> bool {
        let tag = tag_of(self.first);
        let is_of_one_kind = |(_, other): (_, Tag)| other.kind_index() == tag.kind_index();
        let Some(kind) = tag.kind() else { return false };
        if !self.is_sole_owner() || !self.heads().all(is_of_one_kind) {
            return false;
        }
        // Nobody else owns any of it, so that the lock is not needed (BIG-3). The first head comes first: who goes from
        // head to head meanwhile steps over what is about to have none.
        let mut heads = self.heads();
        heads.next();
        descriptor(self.first).set_tag(Tag::in_use(kind, self.order));
        heads.for_each(|(head, _)| descriptor(head).set_tag(Tag::INSIDE));
        true
    }

    /// Gives up the reference without dropping it, for a page-table entry to keep.
    #[must_use = "the reference leaks unless the address is kept"]
    pub(crate) fn into_raw(self) -> PhysAddr {
        ManuallyDrop::new(self).pa()
    }

    /// As [`BigFrame::into_raw`], but what is given up are references of the parts of 2^`part_order` frames of the
    /// range, each to be taken back by itself: single frames by [`Frame::from_raw`].
    #[must_use = "the references leak unless their addresses are kept"]
    pub(crate) fn into_raw_parts(self, part_order: u32) -> PhysAddr {
        self.visit(|front| {
            if let Front::Block(head, tag) = front
                && tag.order() > part_order
            {
                split(head, tag, part_order);
            }
            true
        });
        self.into_raw()
    }

    /// The owner of what was given up by `into_raw`, of all or of parts.
    ///
    /// # Safety
    /// 1. No block reaches out of the 2^`order` frames from `pa` on.
    /// 2. One reference of each block in them was given up by some `into_raw` or `into_raw_parts`, and is taken back
    ///    only once.
    pub(crate) unsafe fn from_raw(pa: PhysAddr, order: u32) -> BigFrame {
        // SAFETY: by 2., an allocated block begins at `pa`.
        let first = unsafe { number_at(pa) };
        debug_assert!(
            first.trailing_zeros() >= order,
            "{pa} is not aligned to order {order}"
        );
        BigFrame { first, order }
    }

    /// What a page-table entry keeps, to look at or to share while the entry keeps it.
    ///
    /// # Safety
    /// As for `from_raw`, but nothing is taken back while the result is in use.
    pub(crate) unsafe fn borrow_raw(pa: PhysAddr, order: u32) -> ManuallyDrop<BigFrame> {
        // SAFETY: `from_raw`'s conditions hold because the result is never dropped.
        ManuallyDrop::new(unsafe { BigFrame::from_raw(pa, order) })
    }

    fn numbers(&self) -> Range<u32> {
        let first = self.first.get();
        first..first + (1 << self.order)
    }

    /// The heads of the range's blocks, for the sole owner, who alone can split or unite them.
    fn heads(&self) -> impl Iterator<Item = (NonZeroU32, Tag)> + use<> {
        let Range { start, end } = self.numbers();
        let mut next = start;
        core::iter::from_fn(move || {
            let head = NonZeroU32::new(next).filter(|head| head.get() < end)?;
            let tag = tag_of(head);
            next += 1 << tag.order();
            Some((head, tag))
        })
    }

    /// Calls `visit` for what the range consists of, from its start on, until it returns false; says whether it never
    /// did. What has been visited may be gone afterwards.
    fn visit(&self, mut visit: impl FnMut(Front) -> bool) -> bool {
        let Range { start, end } = self.numbers();
        let mut next = start;
        while let Some(head) = NonZeroU32::new(next).filter(|head| head.get() < end) {
            let shapes = SHAPES.lock();
            let tag = tag_of(head);
            let goes_on = if tag.order() > 0 {
                next += 1 << tag.order();
                visit(Front::Block(head, tag))
            } else {
                let singles = next..next + singles_from(next..end);
                next = singles.end;
                drop(shapes);
                visit(Front::Singles(singles))
            };
            if !goes_on {
                return false;
            }
        }
        true
    }
}

impl Drop for BigFrame {
    fn drop(&mut self) {
        self.visit(|front| {
            match front {
                Front::Block(head, _) => {
                    // Release pairs with the Acquire here, of whoever frees, and in `is_sole_owner`.
                    if descriptor(head).references.fetch_sub(1, Ordering::AcqRel) == 1 {
                        cache::free_block(head);
                    }
                }
                // BIG-1: one reference of each is this one's.
                Front::Singles(numbers) => {
                    borrow_frames(numbers).for_each(|frame| drop(ManuallyDrop::into_inner(frame)))
                }
            }
            true
        });
    }
}

/// BIG-2: makes a block into parts. `SHAPES` is locked.
fn split(head: NonZeroU32, tag: Tag, part_order: u32) {
    let Some(kind) = tag.kind() else { return };
    let part_tag = Tag::in_use(kind, part_order);
    // Relaxed: the count of a block of several frames holds still while the lock is held.
    let references = descriptor(head).references.load(Ordering::Relaxed);
    // The first part comes last: who looks for a frame's head meanwhile finds the old block or the new part.
    for index in (0..1 << (tag.order() - part_order)).rev() {
        let part = descriptor(head.saturating_add(index << part_order));
        part.references.store(references, Ordering::Relaxed);
        part.set_tag(part_tag);
    }
}

/// How many single frames a range begins with. `SHAPES` is locked.
fn singles_from(range: Range<u32>) -> u32 {
    // What follows a single frame is the head of a block.
    let is_single =
        |number: &u32| NonZeroU32::new(*number).is_some_and(|head| tag_of(head).order() == 0);
    let singles = range.take(MOST_SINGLES).take_while(is_single);
    singles.count() as u32
}

/// The owners of the single frames `numbers`, which are allocated; a caller that has one reference of each may take it
/// out.
fn borrow_frames(numbers: Range<u32>) -> impl Iterator<Item = ManuallyDrop<Frame>> {
    numbers
        .filter_map(NonZeroU32::new)
        .map(|number| ManuallyDrop::new(Frame::adopt(number)))
}

fn tag_of(head: NonZeroU32) -> Tag {
    descriptor(head).tag()
}

/// The descriptor of a frame of an allocated block.
fn descriptor(number: NonZeroU32) -> &'static Descriptor {
    // SAFETY: an allocated frame is in the table; here all numbers are of a big frame's range.
    unsafe { table::descriptor(number.get()) }
}
