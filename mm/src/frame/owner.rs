//! The owner of a frame: a [`Frame`] is one reference to it.
//!
//! An owner cannot be copied, and dropping it gives the memory back, so neither a double free nor a use after it
//! compiles. Where a reference must live as a number (in a page-table entry) `into_raw` and `from_raw` carry it over.

use core::mem::ManuallyDrop;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use super::descriptor::Descriptor;
use super::kind::FrameKind;
use super::{bytes, cache, table};
use crate::addr::{PAGE_SHIFT, PhysAddr};
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

    /// Gives up the reference without dropping it.
    #[inline]
    pub(super) fn into_number(self) -> NonZeroU32 {
        ManuallyDrop::new(self).number
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
        // overflow: the 2^32 page-table entries for it would take 32 GiB.
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

    /// A word for the owner's use. What it holds in a new frame means nothing.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.descriptor().word
    }

    /// A new frame of the kind `kind` with this one's contents, as a copy-on-write break needs it.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn copy(&self, kind: FrameKind) -> Result<Frame, NoMemory> {
        let copy = super::alloc(kind)?;
        // SAFETY: 1. this frame is memory, and stays while `self` lives; 2. the new one is nobody else's yet.
        unsafe { bytes::copy_page(self.as_ptr(), copy.as_ptr()) };
        Ok(copy)
    }

    /// Fills the frame, which nobody else has, with the contents of `source`.
    pub(crate) fn copy_from(&self, source: &Frame) {
        debug_assert!(self.is_sole_owner());
        // SAFETY: 1. `source` is memory, and stays while it is borrowed; 2. this one is nobody else's.
        unsafe { bytes::copy_page(source.as_ptr(), self.as_ptr()) };
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
        debug_assert!(pa.is_page_aligned(), "{pa} is not a frame");
        // SAFETY: `pa` is the address of an allocated frame.
        let number = unsafe { number_at(pa) };
        Frame { number }
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
            if cfg!(debug_assertions) {
                // SAFETY: the frame is memory that nobody else has any more.
                let is_zero = unsafe { bytes::is_zero_page(frame.as_ptr()) };
                assert!(is_zero, "frame {} is not zero", frame.pa());
            }
            cache::free_zeroed(frame.number, frame.descriptor());
        }
    }

    /// Gives up this reference unless it is the last; the last one is returned.
    #[inline]
    pub(crate) fn release_unless_last(self) -> Option<Frame> {
        let frame = ManuallyDrop::new(self);
        if frame.release_reference() {
            // Nobody else has one, so the count is this owner's to set. Relaxed: handing the frame on orders it.
            frame.descriptor().references.store(1, Ordering::Relaxed);
            return Some(ManuallyDrop::into_inner(frame));
        }
        None
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

/// The number of the frame at `pa`.
///
/// # Safety
/// `pa` lies in an allocated block. (Frame 0 never is in one.)
#[inline]
pub(super) unsafe fn number_at(pa: PhysAddr) -> NonZeroU32 {
    let number = (pa.as_u64() >> PAGE_SHIFT) as u32;
    debug_assert_ne!(number, 0);
    // SAFETY: the pool never has frame 0, so that it is not allocated.
    unsafe { NonZeroU32::new_unchecked(number) }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        if self.release_reference() {
            cache::free(self.number, self.descriptor());
        }
    }
}
