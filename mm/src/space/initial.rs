//! What a new address space holds before it runs: its argument string.
#![forbid(unsafe_code)]

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::error::SpaceError;
use crate::page_table::VmIter;
use crate::space::{FaultAccess, Space};

impl Space {
    /// Writes `bytes` at `address`, in a region that the user may write, of a space that no CPU runs yet.
    ///
    /// # Errors
    /// `NotMapped` if there is no such region; `NoMemory`. Some of the bytes may be there then.
    pub fn write_bytes(&self, address: VirtAddr, mut bytes: &[u8]) -> Result<(), SpaceError> {
        let mut place = address;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_SIZE - place.page_offset()));
            self.fault(place.page_align_down(), FaultAccess::WRITE)?;
            let mut memory = self.memory.write();
            let table = memory.table.as_mut().ok_or(SpaceError::NotMapped)?;
            let frame = VmIter::new(table.get_mut(), place)
                .share_frame()
                .ok_or(SpaceError::NotMapped)?;
            frame.write_bytes(place.page_offset(), now);
            drop(memory);
            place = place
                .checked_add(now.len() as u64)
                .ok_or(SpaceError::NotMapped)?;
            bytes = later;
        }
        Ok(())
    }
}
