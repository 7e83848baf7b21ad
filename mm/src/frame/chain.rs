//! A list of frames linked through their descriptors, so that collecting frames needs no memory and cannot fail for
//! want of it.
//!
//! A frame has one link. A frame with one reference is in a chain or elsewhere, never both; a *shared* frame may be
//! pushed by several owners at once, each with a reference of its own, and only one of them gets the link. The others
//! get their frame back and must find another way to keep it until they may drop it.

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::sync::atomic::Ordering;

use super::descriptor::{END, UNLINKED};
use super::owner::Frame;
use super::table;

/// Owns frames, last in first out. Dropping it drops them.
pub struct FrameChain {
    /// The frame pushed last, or `END`.
    first: u32,
    len: usize,
    /// It owns frames.
    frames: PhantomData<Frame>,
}

impl FrameChain {
    /// An empty chain.
    pub const fn new() -> FrameChain {
        FrameChain {
            first: END,
            len: 0,
            frames: PhantomData,
        }
    }

    /// Puts `frame` first.
    ///
    /// # Errors
    /// Gives `frame` back if another owner of it has it in a chain; a sole owner's frame is always taken.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        let next = &frame.descriptor().next;
        if frame.is_sole_owner() {
            next.store(self.first, Ordering::Relaxed);
        } else {
            // Relaxed: the link alone decides. Who finds it free again does not look at what the frame holds.
            let claim =
                next.compare_exchange(UNLINKED, self.first, Ordering::Relaxed, Ordering::Relaxed);
            if claim.is_err() {
                return Err(frame);
            }
        }
        self.first = frame.number();
        self.len += 1;
        core::mem::forget(frame);
        Ok(())
    }

    /// Takes out the frame that was pushed last.
    #[inline]
    pub fn pop(&mut self) -> Option<Frame> {
        let len = self.len.checked_sub(1)?;
        let number = NonZeroU32::new(self.first)?;
        // SAFETY: the frames of a chain are allocated, hence in the table.
        let next = &unsafe { table::descriptor(number.get()) }.next;
        self.first = next.load(Ordering::Relaxed);
        // Relaxed: see `push`.
        next.store(UNLINKED, Ordering::Relaxed);
        self.len = len;
        // The reference is the one that `push` forgot.
        Some(Frame::adopt(number))
    }

    /// The number of frames.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no frame.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for FrameChain {
    fn default() -> FrameChain {
        FrameChain::new()
    }
}

impl Drop for FrameChain {
    #[inline]
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            drop(frame);
        }
    }
}

impl fmt::Debug for FrameChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameChain of {}", self.len)
    }
}
