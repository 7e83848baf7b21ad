//! Where memory goes whose place is left to the kernel.
//!
//! As high as there is room. Only under `shootdown=deferred` addresses rest after they have been used: who maps
//! something at an address in limbo has to wait for other CPUs, which are soon done with it by themselves. So each
//! search begins below what the last one has found, and after some searches at the top again.
#![forbid(unsafe_code)]

use crate::addr::{USER_END, UserRange, VirtAddr};
use crate::flush::limbo;
use crate::space::RegionMap;

/// How many searches in turn go down: as many as there can be ranges of one CPU in limbo.
const DEPTH: usize = limbo::SLOTS;

/// Where the next search begins.
pub(super) struct Placement {
    below: VirtAddr,
    /// How many more go down from there.
    left: usize,
}

impl Placement {
    /// At the top.
    pub(super) const fn new() -> Placement {
        Placement {
            below: USER_END,
            left: DEPTH,
        }
    }

    /// A free range of `len_pages` pages whose start is a multiple of `align_bytes` (and of the page size), if there is
    /// one.
    #[inline]
    pub(super) fn find_free(
        &mut self,
        regions: &RegionMap,
        len_pages: usize,
        align_bytes: usize,
    ) -> Option<UserRange> {
        let rests = limbo::is_in_use();
        let mut below = if rests { self.below() } else { USER_END };
        let found = loop {
            match regions.find_free(len_pages, align_bytes, below) {
                // Nothing has rested there for as long.
                None if below < USER_END => below = USER_END,
                found => break found?,
            }
        };
        if rests {
            self.below = found.start();
            self.left -= 1;
        }
        Some(found)
    }

    /// Where a search begins while addresses rest.
    #[cold]
    fn below(&mut self) -> VirtAddr {
        if self.left == 0 {
            *self = Placement::new();
        }
        self.below
    }
}
