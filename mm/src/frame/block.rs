//! Owners of several frames in a row: a [`Block`] has 2^order of them, a [`PageRun`] any number.
//!
//! As with a [`Frame`], dropping one gives the memory back; unlike a frame, it has one owner only.

use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::sync::atomic::AtomicU32;

use super::descriptor::blocks;
use super::kind::FrameKind;
use super::owner::{Frame, number_at};
use super::{cache, pool, table};
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use crate::hw;

/// 2^order frames in a row, aligned to their size. They have one owner.
///
/// Invariant: `number` is the head of an allocated block, and this is its owner.
#[must_use = "dropping a block frees it"]
#[derive(Debug)]
pub struct Block {
    number: NonZeroU32,
}

impl Block {
    pub(super) fn adopt(number: NonZeroU32) -> Block {
        Block { number }
    }

    /// The physical address of the first byte.
    pub fn pa(&self) -> PhysAddr {
        PhysAddr::new((self.number.get() as u64) << PAGE_SHIFT)
    }

    /// Where the kernel reaches the block's bytes.
    pub fn as_ptr(&self) -> *mut u8 {
        hw::phys_to_ptr(self.pa())
    }

    /// log2 of the number of frames.
    pub fn order(&self) -> u32 {
        // SAFETY: an allocated block is in the table.
        unsafe { table::descriptor(self.number.get()) }
            .tag()
            .order()
    }

    /// The length in bytes.
    pub fn len_bytes(&self) -> usize {
        PAGE_SIZE << self.order()
    }

    /// A word for the owner's use, of each of the block's frames. What they hold in a new block means nothing.
    pub fn words(&self) -> impl Iterator<Item = &AtomicU32> {
        let first = self.number.get();
        // SAFETY: an allocated block is in the table.
        (first..first + (1 << self.order()))
            .map(|number| &unsafe { table::descriptor(number) }.word)
    }

    /// The word of the frame that `pa` lies in.
    ///
    /// # Safety
    /// `pa` lies in an allocated block.
    #[inline]
    pub unsafe fn word_at(pa: PhysAddr) -> &'static AtomicU32 {
        // SAFETY: an allocated block is in the table.
        &unsafe { table::descriptor((pa.as_u64() >> PAGE_SHIFT) as u32) }.word
    }

    /// Gives up ownership without freeing.
    #[must_use = "the block leaks unless the address is kept"]
    pub fn into_raw(self) -> PhysAddr {
        ManuallyDrop::new(self).pa()
    }

    /// The block that [`into_raw`](Block::into_raw) turned into `pa`.
    ///
    /// # Safety
    /// `pa` came from `into_raw`, and the block is taken back only once.
    pub unsafe fn from_raw(pa: PhysAddr) -> Block {
        // SAFETY: `pa` is the address of an allocated block.
        let number = unsafe { number_at(pa) };
        Block { number }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        cache::free_block(self.number);
    }
}

/// Any number of frames in a row. What the next power of two has beyond them is back in the pool.
///
/// Invariant: the run is made of allocated blocks, those of `descriptor::blocks`, and this is their owner.
#[must_use = "dropping a run frees it"]
#[derive(Debug)]
pub struct PageRun {
    first: NonZeroU32,
    len_pages: u32,
}

impl PageRun {
    /// Takes over `block`, and gives back what lies beyond the first `len_pages` frames of it.
    pub(super) fn cut(block: Block, len_pages: u32, kind: FrameKind) -> PageRun {
        let block = ManuallyDrop::new(block);
        let first = block.number;
        let end = first.get() + (1 << block.order());
        let run_end = first.get() + len_pages;
        pool::split_block(first.get()..run_end, run_end..end, kind);
        cache::count(kind, ((end - run_end) as usize).wrapping_neg());
        PageRun { first, len_pages }
    }

    /// The run of one frame, `frame`, of which there is no other reference.
    #[inline]
    pub(super) fn single(frame: Frame) -> PageRun {
        PageRun {
            first: frame.into_number(),
            len_pages: 1,
        }
    }

    /// The physical address of the first byte.
    pub fn pa(&self) -> PhysAddr {
        PhysAddr::new((self.first.get() as u64) << PAGE_SHIFT)
    }

    /// Where the kernel reaches the run's bytes.
    pub fn as_ptr(&self) -> *mut u8 {
        hw::phys_to_ptr(self.pa())
    }

    /// The number of frames.
    pub fn len_pages(&self) -> usize {
        self.len_pages as usize
    }

    /// Gives up ownership without freeing. Whoever keeps the address must keep the length as well.
    #[must_use = "the run leaks unless the address is kept"]
    pub fn into_raw(self) -> PhysAddr {
        ManuallyDrop::new(self).pa()
    }

    /// The run that [`into_raw`](PageRun::into_raw) turned into `pa`.
    ///
    /// # Safety
    /// `pa` came from `into_raw` of a run of `len_pages` frames, which is taken back only once.
    pub unsafe fn from_raw(pa: PhysAddr, len_pages: usize) -> PageRun {
        // SAFETY: `pa` is the address of an allocated run.
        let first = unsafe { number_at(pa) };
        PageRun {
            first,
            len_pages: len_pages as u32,
        }
    }
}

impl Drop for PageRun {
    fn drop(&mut self) {
        for (number, _) in blocks(self.first.get(), self.first.get() + self.len_pages) {
            NonZeroU32::new(number)
                .into_iter()
                .for_each(cache::free_block);
        }
    }
}
