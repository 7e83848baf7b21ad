//! Owners: a [`Frame`] is one reference to a 4 KiB frame, a [`Block`] is 2^order frames in a row, a [`PageRun`] any
//! number of them.
//!
//! An owner cannot be copied, and dropping it gives the memory back, so neither a double free nor a use after it
//! compiles. Where a reference must live as a number (in a page-table entry) `into_raw` and `from_raw` carry it over.

use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use super::descriptor::{Descriptor, blocks};
use super::kind::FrameKind;
use super::{bytes, cache, pool, table};
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use crate::error::NoMemory;
use crate::hw;

/// One reference to a 4 KiB frame. The last one to be dropped frees it.
///
/// Invariant: `number` is an allocated block of order 0, and one of its references is this one's.
#[must_use = "dropping a frame frees it"]
#[derive(Debug)]
#[repr(transparent)]
pub struct Frame {
    number: NonZeroU32,
}

impl Frame {
    /// The frame that the pool has just handed out, with one reference.
    #[inline]
    pub(super) fn adopt(number: NonZeroU32) -> Frame {
        Frame { number }
    }

    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.number.get()
    }

    #[inline]
    pub(super) fn descriptor(&self) -> &'static Descriptor {
        // SAFETY: an allocated frame is in the table.
        unsafe { table::descriptor(self.number.get()) }
    }

    /// The physical address.
    #[inline]
    pub fn pa(&self) -> PhysAddr {
        PhysAddr::new((self.number.get() as u64) << PAGE_SHIFT)
    }

    /// Where the kernel reaches the frame's bytes. They may be mapped elsewhere too.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        hw::phys_to_ptr(self.pa())
    }

    /// Another reference to the same frame.
    #[inline]
    pub fn share(&self) -> Frame {
        // Relaxed: who has a reference may make another; handing it to another CPU is what orders. The count cannot
        // overflow: each reference is kept in 4 bytes or more, and there are not 2^34 bytes of them for one frame.
        self.descriptor().references.fetch_add(1, Ordering::Relaxed);
        Frame {
            number: self.number,
        }
    }

    /// Whether this is the only reference. If so it stays so as long as the caller keeps it to itself.
    #[inline]
    pub fn is_sole_owner(&self) -> bool {
        // Acquire pairs with the Release in `drop`: what the last other owner did with the frame is over.
        self.descriptor().references.load(Ordering::Acquire) == 1
    }

    /// How many references there are; may change at once, unless it is 1.
    pub fn references(&self) -> u32 {
        self.descriptor().references.load(Ordering::Relaxed)
    }

    /// What the frame was allocated for.
    pub fn kind(&self) -> FrameKind {
        self.descriptor()
            .tag()
            .kind()
            .expect("an owned frame is in use")
    }

    /// Notes for which process the frame was allocated, for the memory view; 0 (as at first) for none.
    #[inline]
    pub fn set_owner(&self, process: u32) {
        let descriptor = self.descriptor();
        descriptor.set_tag(descriptor.tag().with_owner(process));
    }

    /// A word for the owner's use. What it holds in a new frame means nothing.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.descriptor().word
    }

    /// A new frame of the kind `kind` with this one's contents, as a copy-on-write break needs it.
    pub fn copy(&self, kind: FrameKind) -> Result<Frame, NoMemory> {
        let copy = super::alloc(kind)?;
        // SAFETY: 1. this frame is memory, and stays while `self` lives; 2. the new one is nobody else's yet.
        unsafe { bytes::copy_page(self.as_ptr(), copy.as_ptr()) };
        Ok(copy)
    }

    /// Gives up the reference without dropping it, for a page-table entry to keep.
    #[inline]
    #[must_use = "the reference leaks unless the address is kept"]
    pub fn into_raw(self) -> PhysAddr {
        ManuallyDrop::new(self).pa()
    }

    /// The reference that [`into_raw`](Frame::into_raw) turned into `pa`.
    ///
    /// # Safety
    /// `pa` came from `into_raw`, and this reference is taken back only once.
    #[inline]
    pub unsafe fn from_raw(pa: PhysAddr) -> Frame {
        let number = (pa.as_u64() >> PAGE_SHIFT) as u32;
        debug_assert!(pa.is_page_aligned() && number != 0, "{pa} is not a frame");
        // SAFETY: `pa` is the address of an allocated frame, and frame 0 never is one.
        Frame {
            number: unsafe { NonZeroU32::new_unchecked(number) },
        }
    }

    /// The reference that a page-table entry keeps, to look at or to share while the entry keeps it.
    ///
    /// # Safety
    /// `pa` came from `into_raw`, and the reference is not taken back while the result is in use.
    #[inline]
    pub unsafe fn borrow_raw(pa: PhysAddr) -> ManuallyDrop<Frame> {
        // SAFETY: `from_raw`'s condition holds because the result is never dropped.
        ManuallyDrop::new(unsafe { Frame::from_raw(pa) })
    }

    /// As dropping, but the frame is known to hold only zeros again, which saves the next owner the work. Page-table
    /// pages come back like this.
    ///
    /// # Safety
    /// If this is the last reference, every byte of the frame is 0.
    #[inline]
    pub unsafe fn drop_zeroed(self) {
        let frame = ManuallyDrop::new(self);
        if frame.release_reference() {
            // SAFETY: the frame is memory that nobody else has any more.
            debug_assert!(
                unsafe { bytes::is_zero_page(frame.as_ptr()) },
                "frame {} is not zero",
                frame.pa()
            );
            cache::free_zeroed(frame.number);
        }
    }

    /// Gives up one reference; true if that was the last, and the frame is the caller's to free.
    #[inline]
    fn release_reference(&self) -> bool {
        // A sole owner need not write the count: nobody else can share the frame meanwhile. Release in the other case
        // pairs with the Acquire here, of whoever frees: what this owner did with the frame happens before.
        let references = &self.descriptor().references;
        references.load(Ordering::Acquire) == 1 || references.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        if self.release_reference() {
            cache::free(self.number);
        }
    }
}

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

    /// A word for the owner's use. What it holds in a new block means nothing.
    pub fn word(&self) -> &AtomicU32 {
        // SAFETY: as in `order`.
        &unsafe { table::descriptor(self.number.get()) }.word
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
        // SAFETY: `pa` is the address of an allocated block, and frame 0 never is in one.
        Block {
            number: unsafe { NonZeroU32::new_unchecked((pa.as_u64() >> PAGE_SHIFT) as u32) },
        }
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
            first: ManuallyDrop::new(frame).number,
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
        let number = (pa.as_u64() >> PAGE_SHIFT) as u32;
        // SAFETY: `pa` is the address of an allocated run, and frame 0 never is in one.
        PageRun {
            first: unsafe { NonZeroU32::new_unchecked(number) },
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
