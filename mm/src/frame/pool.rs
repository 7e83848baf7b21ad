//! The pool that all CPUs share: the buddy allocator behind its lock. The only way from free memory to used and back.

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use smp::{SpinLock, rank};

use super::buddy::Buddy;
use super::descriptor::{Tag, blocks};
use super::kind::FrameKind;
use super::table;

static POOL: SpinLock<Buddy, rank::FramesPool> = SpinLock::new(Buddy::new());

/// Takes 2^`order` frames in a row; their head gets the tag `tag`.
pub(super) fn take(order: u32, tag: Tag) -> Option<u32> {
    smp::watchdog::progress();
    POOL.lock().take(table::all(), order, tag)
}

/// Takes up to `most` single frames, fewer when no more are left, and hands each to `keep`.
pub(super) fn take_singles(most: u32, mut keep: impl FnMut(u32)) {
    smp::watchdog::progress();
    let mut pool = POOL.lock();
    let mut missing = most;
    while let Some(largest) = missing.checked_ilog2() {
        let Some(singles) = pool.take_singles(table::all(), largest) else {
            return;
        };
        missing -= singles.len() as u32;
        singles.for_each(&mut keep);
    }
}

/// Makes 2^`order` frames free.
pub(super) fn give(number: u32, order: u32) {
    smp::watchdog::progress();
    POOL.lock().give(table::all(), number, order);
}

/// Makes single frames free.
pub(super) fn give_singles(numbers: impl Iterator<Item = u32>) {
    smp::watchdog::progress();
    let mut pool = POOL.lock();
    for number in numbers {
        pool.give(table::all(), number, 0);
    }
}

/// Makes the frames `[frames.start, frames.end)` free; they belong to no block yet.
pub(super) fn give_range(frames: Range<u32>) {
    let mut pool = POOL.lock();
    for (number, order) in blocks(frames.start, frames.end) {
        pool.give(table::all(), number, order);
    }
}

/// Makes the first part of an allocated block, `kept`, into blocks of its own, and the rest free.
pub(super) fn split_block(kept: Range<u32>, rest: Range<u32>, kind: FrameKind) {
    let table = table::all();
    // First: the buddy looks at these tags when it merges the rest.
    for (number, order) in blocks(kept.start, kept.end) {
        let head = &table[number as usize];
        head.set_tag(Tag::in_use(kind, order));
        // Relaxed: the frames have one owner, the caller.
        head.references.store(1, Relaxed);
    }
    give_range(rest);
}

/// The number of frames in the pool, those in the CPUs' caches not among them.
pub(super) fn free_frames() -> usize {
    POOL.lock().free_frames()
}
