//! Frames: who owns which piece of physical memory.
//!
//! All memory is counted in frames of 4 KiB. A table has a descriptor for each (`descriptor`); the free ones are in a
//! buddy allocator (`buddy`) that all CPUs share behind a lock (`pool`), with a store of single frames on each CPU in
//! front of it (`cache`). What is allocated belongs to a value ([`Frame`], [`BigFrame`], [`Block`], [`PageRun`]) that
//! gives it back when it is dropped. Every allocation can fail.
//!
//! Order at boot: [`init`], then the heap works; [`init_cpus`](crate::init_cpus) once the number of CPUs is known and
//! before any other CPU runs. Interrupt handlers neither allocate nor free.

mod accounts;
mod big;
mod block;
mod buddy;
mod bytes;
mod cache;
mod chain;
mod contents;
mod descriptor;
mod kind;
mod layout;
mod owner;
mod pool;
mod start;
mod table;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicBool, Ordering};

pub use accounts::{FrameAccounts, accounts, count, for_each_run, runs_from, state_of};
pub use big::BigFrame;
pub use block::{Block, PageRun};
pub use buddy::MAX_ORDER;
pub use bytes::{copy_page, is_zero_page, zero_page};
pub use chain::FrameChain;
pub use kind::{FrameKind, FrameRun, FrameState};
pub use layout::MemoryRange;
pub use owner::Frame;
pub(crate) use start::init_cpu_caches;
pub use start::{StartError, init};

use crate::error::NoMemory;

/// A frame with any contents, those of its previous owner perhaps.
///
/// # Errors
/// [`NoMemory`].
#[inline]
pub fn alloc(kind: FrameKind) -> Result<Frame, NoMemory> {
    cache::alloc(kind).map(Frame::adopt)
}

/// A frame that holds only zeros.
///
/// # Errors
/// [`NoMemory`].
#[inline]
pub fn alloc_zeroed(kind: FrameKind) -> Result<Frame, NoMemory> {
    if is_left_dirty(kind) {
        return alloc(kind);
    }
    let (number, is_zeroed) = cache::alloc_maybe_zeroed(kind)?;
    let frame = Frame::adopt(number);
    if !is_zeroed {
        // SAFETY: the frame is memory and nobody else's yet.
        unsafe { zero_page(frame.as_ptr()) };
    }
    Ok(frame)
}

/// 2^`order` frames in a row with any contents, to be mapped and shared as one page.
///
/// # Errors
/// `NoMemory` too if there is no such block although enough frames are free: whoever gets it makes do with smaller
/// pages. The CPUs' caches are left alone.
pub fn alloc_big(order: u32, kind: FrameKind) -> Result<BigFrame, NoMemory> {
    if order > MAX_ORDER {
        return Err(NoMemory);
    }
    cache::alloc_whole_block(order, kind).map(|number| BigFrame::adopt(number, order))
}

/// As [`alloc_big`], holding only zeros.
///
/// # Errors
/// As [`alloc_big`].
pub fn alloc_big_zeroed(order: u32, kind: FrameKind) -> Result<BigFrame, NoMemory> {
    let big = alloc_big(order, kind)?;
    if !is_left_dirty(kind) {
        for page in big.pages() {
            // SAFETY: the page is memory and nobody else's yet.
            unsafe { zero_page(page) };
        }
    }
    Ok(big)
}

/// 2^`order` frames in a row with any contents, aligned to their size.
///
/// # Errors
/// `NoMemory` too if there is no such block although enough frames are free, or `order` is above [`MAX_ORDER`].
pub fn alloc_block(order: u32, kind: FrameKind) -> Result<Block, NoMemory> {
    if order > MAX_ORDER {
        return Err(NoMemory);
    }
    cache::alloc_block(order, kind).map(Block::adopt)
}

/// `len_pages` frames in a row (at least one) with any contents.
///
/// # Errors
/// As [`alloc_block`] of the next power of two.
pub fn alloc_run(len_pages: usize, kind: FrameKind) -> Result<PageRun, NoMemory> {
    if len_pages <= 1 {
        return alloc(kind).map(PageRun::single);
    }
    let order = len_pages
        .checked_next_power_of_two()
        .ok_or(NoMemory)?
        .ilog2();
    Ok(PageRun::cut(
        alloc_block(order, kind)?,
        len_pages as u32,
        kind,
    ))
}

/// Gives what this CPU's caches hold to the pool that all CPUs share.
pub fn drain_own_cache() {
    cache::drain_own();
}

static SKIP_ZEROING: AtomicBool = AtomicBool::new(false);

/// Whether zeroed memory of this kind need not be zero: only what users see, so that page tables and the like stay
/// sound.
#[inline]
fn is_left_dirty(kind: FrameKind) -> bool {
    // Relaxed: set at boot.
    kind as u8 == FrameKind::Anonymous as u8 && SKIP_ZEROING.load(Ordering::Relaxed)
}

/// Stops the zeroing of memory for users (`break=zero`): they then see what its previous owner left.
pub fn set_skip_zeroing(skip: bool) {
    // Relaxed: a switch set at boot, before the first user.
    SKIP_ZEROING.store(skip, Ordering::Relaxed);
}
