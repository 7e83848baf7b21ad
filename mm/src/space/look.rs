//! Looking at the pages of an address space from outside, without waiting for anybody and without taking memory.
#![forbid(unsafe_code)]

use crate::addr::{PhysAddr, USER_END, VirtAddr};
use crate::frame::{self, FrameKind, FrameState};
use crate::page_table::{Perm, order_of};
use crate::space::Space;

/// A page of any size that a space maps, as it was a moment ago.
#[derive(Copy, Clone, Debug)]
pub struct SeenPage {
    /// Its first address.
    pub va: VirtAddr,
    /// The memory behind it.
    pub pa: PhysAddr,
    /// How many pages of 4 KiB it covers.
    pub len_pages: u32,
    /// What may be done there.
    pub perm: Perm,
    /// Whether other spaces, or a file, may have the same memory.
    pub is_shared: bool,
    /// What the memory was allocated for; `None` if it was not, as with device registers.
    pub kind: Option<FrameKind>,
}

/// How far a look at a space has come.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Look {
    /// Nowhere: somebody changes the space, or waits for doing so.
    Busy,
    /// To the end.
    Ended,
    /// So many pages were seen; there may be others from this address on.
    Stopped(VirtAddr),
}

impl Space {
    /// Calls `visit` for the pages that are mapped from `start` on, in order of address, but no more than `most`.
    /// Faults go on meanwhile, and everything else waits.
    pub fn look_at_pages(
        &self,
        start: VirtAddr,
        most: usize,
        visit: &mut dyn FnMut(SeenPage),
    ) -> Look {
        let Some(memory) = self.memory.read_if_free() else {
            return Look::Busy;
        };
        let Some(table) = &memory.table else {
            return Look::Ended;
        };
        let mut iter = table.fault_iter(start);
        for _ in 0..most {
            if !iter.find_mapping(USER_END) {
                return Look::Ended;
            }
            let entry = iter.entry();
            // A page that a fault has claimed is in no entry at the moment.
            if entry.is_leaf(iter.level()) {
                let (kind, owners) = use_of(entry.pa());
                visit(SeenPage {
                    va: iter.va(),
                    pa: entry.pa(),
                    len_pages: 1 << order_of(iter.level()),
                    perm: iter.effective_perm(entry),
                    is_shared: iter.is_shared() || owners > 1,
                    kind,
                });
            }
            iter.next();
        }
        Look::Stopped(iter.va())
    }
}

/// What the frame at `pa` was allocated for, and how many owners it has. Another thread may just have replaced it.
fn use_of(pa: PhysAddr) -> (Option<FrameKind>, u32) {
    match frame::state_of(pa).map(|run| run.state) {
        Some(FrameState::InUse { kind, references }) => (Some(kind), references),
        _ => (None, 0),
    }
}
