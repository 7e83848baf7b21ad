//! Two pages that change places: their entries do, and nothing else.
#![forbid(unsafe_code)]

use crate::addr::{PAGE_SIZE, PhysAddr, UserRange, VirtAddr};
use crate::error::SpaceError;
use crate::flush::FlushBatch;
use crate::frame::Frame;
use crate::page_table::{Perm, VmIter, VmIterMut};
use crate::space::{FaultAccess, Space};

/// What is mapped at an address: which frame, and a hash of its contents.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct FrameHash {
    /// Where the frame is.
    pub pa: PhysAddr,
    /// The same for the same contents, and most likely for no others.
    pub hash: u64,
}

impl Space {
    /// Has the pages at `first` and `second` change places, which lie in one private region of a space that no CPU runs
    /// yet. Their frames stay as they are.
    ///
    /// # Errors
    /// `NotMapped` if there is no such region; `Unreadable`; `NoMemory`.
    pub fn exchange_pages(&self, first: VirtAddr, second: VirtAddr) -> Result<(), SpaceError> {
        for page in [first, second] {
            self.fault(page, FaultAccess::READ)?;
        }
        let mut memory = self.memory.write();
        let region = memory.regions.find(first).ok_or(SpaceError::NotMapped)?;
        if !region.range.contains(second) || region.backing.is_shared() {
            return Err(SpaceError::NotMapped);
        }
        let mut batch = FlushBatch::new(&self.cpus);
        for page in [first, second] {
            let range = UserRange::page_aligned(page.as_usize(), PAGE_SIZE)?;
            memory.prepare_pages(range, &mut batch)?;
        }
        let table = memory.table().ok_or(SpaceError::NotMapped)?;
        let [at_first, at_second] = [first, second].map(|page| mapped(&VmIter::new(table, page)));
        for (page, mapped) in [(first, at_second), (second, at_first)] {
            let (frame, perm) = mapped.ok_or(SpaceError::NotMapped)?;
            VmIterMut::new_mut(table, page).try_map(frame, perm, &mut batch)?;
        }
        Ok(())
    }

    /// The frame of the page of 4 KiB at `page`, and a hash of what it holds; `None` if there is none.
    pub fn frame_hash(&self, page: VirtAddr) -> Option<FrameHash> {
        let mut memory = self.memory.write();
        let (frame, _) = mapped(&VmIter::new(memory.table()?, page))?;
        drop(memory);
        let mut hash = FNV_OFFSET;
        let mut bytes = [0; 64];
        for offset in (0..PAGE_SIZE).step_by(bytes.len()) {
            frame.read_bytes(offset, &mut bytes);
            hash = bytes.iter().fold(hash, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
            });
        }
        Some(FrameHash {
            pa: frame.pa(),
            hash,
        })
    }
}

/// Of the hash function FNV-1a with 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn mapped(page: &VmIter<'_>) -> Option<(Frame, Perm)> {
    Some((page.share_frame()?, page.entry().perm()))
}
