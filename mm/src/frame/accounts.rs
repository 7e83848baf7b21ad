//! What memory is used for: the sums, and frame by frame.

use super::cache;
use super::descriptor::Tag;
use super::kind::{FrameKind, FrameRun};
use super::{pool, start, table};
use crate::addr::{PAGE_SHIFT, PhysAddr};
use core::sync::atomic::Ordering;

/// How many frames are used for what. Exact when no CPU allocates or frees meanwhile; `total` is then the sum of
/// `reserved`, `free` and all kinds.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct FrameAccounts {
    /// All frames of memory.
    pub total: usize,
    /// Those that never enter the pool: the kernel's image, the frame table, what the boot loader left.
    pub reserved: usize,
    /// Those that are free, in the pool or in a CPU's cache.
    pub free: usize,
    /// Of the free ones, those in the CPUs' caches.
    pub cached: usize,
    in_use: [usize; FrameKind::COUNT],
}

impl FrameAccounts {
    /// The frames allocated for `kind`.
    pub fn in_use(&self, kind: FrameKind) -> usize {
        self.in_use[kind.index()]
    }
}

/// The accounts now.
pub fn accounts() -> FrameAccounts {
    let (reserved, managed) = start::boot_counts();
    let in_use = FrameKind::ALL.map(cache::in_use);
    let used = in_use
        .iter()
        .fold(0, |sum: usize, frames| sum.wrapping_add(*frames));
    let free = managed.wrapping_sub(used);
    let cached = free.wrapping_sub(pool::free_frames());
    FrameAccounts {
        total: reserved + managed,
        reserved,
        free,
        cached,
        in_use,
    }
}

/// What the frame at `pa` is, and the block that it belongs to; `None` beyond the end of memory, or when the block is
/// just being split or merged.
pub fn state_of(pa: PhysAddr) -> Option<FrameRun> {
    let number = u32::try_from(pa.as_u64() >> PAGE_SHIFT).ok()?;
    let table = table::all();
    if number as usize >= table.len() {
        return None;
    }
    // FRAME-1: the first aligned-down frame that has a tag is the head.
    let heads = (0..=super::MAX_ORDER).map(|order| number & (u32::MAX << order));
    let (head, tag) = heads
        .map(|head| (head, table[head as usize].tag()))
        .find(|(_, tag)| *tag != Tag::INSIDE)?;
    (number - head < 1 << tag.order()).then_some(())?;
    run(head, tag)
}

/// The number of frames from address 0 to the end of memory, holes included.
pub fn count() -> u32 {
    table::all().len() as u32
}

/// Calls `visit` for each block of frames, in order of address. Allocations go on meanwhile, so that it is a picture
/// with some blur: a block that changes may be missing.
pub fn for_each_run(visit: impl FnMut(FrameRun)) {
    runs_from(0).for_each(visit);
}

/// The blocks of frames from frame `first` on, with the same blur.
pub fn runs_from(first: u32) -> impl Iterator<Item = FrameRun> {
    let table = table::all();
    let mut number = first;
    core::iter::from_fn(move || {
        loop {
            let tag = table.get(number as usize)?.tag();
            let run = run(number, tag);
            number = number.saturating_add(1 << tag.order());
            if run.is_some() {
                return run;
            }
        }
    })
}

fn run(number: u32, tag: Tag) -> Option<FrameRun> {
    let references = table::all()[number as usize]
        .references
        .load(Ordering::Relaxed);
    Some(FrameRun {
        number,
        order: tag.order() as u8,
        state: tag.state(references)?,
    })
}
