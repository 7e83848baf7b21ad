//! Taking regions away and changing their rights, whole or in part.
//!
//! Each operation first checks, then does what may fail for want of memory without changing anything that a user can see
//! (SPACE-6), then changes regions and page table, and waits for the other CPUs (SPACE-5).
#![forbid(unsafe_code)]

use crate::addr::UserRange;
use crate::error::SpaceError;
use crate::flush::FlushBatch;
use crate::space::{Memory, Space};

impl Space {
    /// Removes whatever regions, or parts of them, lie in `range`, with all their pages.
    ///
    /// # Errors
    /// `NoMemory` for splitting a region or its tables. Nothing has changed then.
    pub fn remove(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut memory = self.memory.write();
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.prepare_range(range, &mut batch)?;
        memory.regions.remove(range)?;
        memory.unmap(range, &mut batch);
        Ok(())
    }
}

impl Memory {
    /// SPACE-6, for an operation on `range` as a whole.
    fn prepare_range(
        &mut self,
        range: UserRange,
        batch: &mut FlushBatch<'_>,
    ) -> Result<(), SpaceError> {
        if let Some(table) = &mut self.table {
            table
                .get_mut()
                .prepare_range(range.start(), range.end(), batch)?;
        }
        Ok(())
    }

    /// Unmaps all pages in `range`, which has been prepared.
    fn unmap(&mut self, range: UserRange, batch: &mut FlushBatch<'_>) {
        if let Some(table) = &mut self.table {
            table
                .get_mut()
                .unmap_range(range.start(), range.end(), batch);
        }
    }
}
