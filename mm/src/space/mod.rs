//! Address spaces: regions, which say what a user may do where, and a page table, which says what is there already.
//!
//! **Guarantee.** A user's access either does what the region at the address says, or becomes an error; it never reaches memory
//! that the region does not have. What two spaces share, neither sees the other write. When a space is gone, all that it had
//! is free again, and no CPU can still reach it.
//!
//! How: [`Space::add`] and [`Space::remove`] change the regions, [`Space::fault`] fills in pages and breaks sharing,
//! [`Space::fork`] makes a second space that shares this one's frames. Whatever takes something away from the page table collects
//! it in a [`FlushBatch`].
//!
//! - SPACE-1: what is mapped lies in a region, and has no more rights than it.
//! - SPACE-2: in a region made by `page_alloc` every page is mapped.
//! - SPACE-3: a page whose frame others may have too is mapped read-only, unless its region is shared.
//! - SPACE-4: a file is asked for pages with no lock held, since it may wait; afterwards everything is looked at again.
//! - SPACE-5: what an operation has taken away is gone from all CPUs before the lock is given back. Otherwise another thread
//!   could map or copy a page that a third still writes by an old translation, and the store would be lost.
//!
//! One lock guards regions and page table. Each operation takes it once; a fault that needs a page of a file, once more after that.

mod backing;
mod fault;
mod file_backing;
mod fork;
mod initial;
mod page_alloc;
mod page_source;
mod protection;
mod region;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "spaces do not do yet all that the map can")
)]
mod region_map;
mod shared_pages;
mod switch;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::{fmt, mem};

use smp::{SpinLock, rank};

use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::flush::{ActiveCpus, FlushBatch, SpaceId};
use crate::heap::try_arc;
use crate::page_table::{PageTable, VmIterMut};

pub use backing::Backing;
pub use fault::{FaultAccess, FaultError};
pub use file_backing::{FileBacking, Sharing};
pub use fork::{ForkPolicy, break_copy_on_write};
pub use page_source::{PageSource, PageSourceError};
pub use protection::Protection;
pub use region::{Region, RegionFlags};
pub use region_map::GUARD_PAGES;
pub use shared_pages::SharedPages;
pub use switch::{activate, become_idle};

use fault::{FilePage, Progress};
use region_map::RegionMap;

/// An address space. See the module's page.
pub struct Space {
    /// Which CPUs use it.
    cpus: ActiveCpus,
    /// What goes into CR3; 0 once the space has been destroyed. Changed with `memory` locked.
    root: AtomicU64,
    memory: SpinLock<Memory, rank::Space>,
}

/// What the lock of a [`Space`] guards.
struct Memory {
    regions: RegionMap,
    /// `None` once the space has been destroyed.
    table: Option<PageTable>,
}

impl Space {
    /// A space without regions.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new() -> Result<Arc<Space>, NoMemory> {
        let id = SpaceId::fresh();
        let table = PageTable::new(id)?;
        let root = AtomicU64::new(table.root_pa().as_u64());
        let memory = SpinLock::new(Memory {
            regions: RegionMap::new(),
            table: Some(table),
        });
        try_arc(Space {
            cpus: ActiveCpus::new(id),
            root,
            memory,
        })
    }

    /// Its number, which no other space ever has.
    pub fn id(&self) -> SpaceId {
        self.cpus.space()
    }

    /// Adds a region. If it is eager, its pages are filled in, as reading them would.
    ///
    /// # Errors
    /// `Overlap`, `NoMemory`, `Unreadable` for an eager part of a file; `NotGrowable`, `Unaligned`, `KernelOnly`, `WrongLength`
    /// if there can be no such region. Nothing has changed then.
    pub fn add(&self, region: Region) -> Result<(), SpaceError> {
        let (range, is_eager) = (region.range, region.flags.contains(RegionFlags::EAGER));
        self.memory.lock().insert(region)?;
        if is_eager && let Err(error) = self.fill(range) {
            // Nothing but the new region was there.
            let mut memory = self.memory.lock();
            // SPACE-5: completes before the lock is given back.
            let mut batch = FlushBatch::new(&self.cpus);
            memory.regions.undo_insert(range)?;
            memory.unmap(range, &mut batch);
            return Err(error);
        }
        Ok(())
    }

    /// Fills in all pages of `range`.
    fn fill(&self, range: UserRange) -> Result<(), SpaceError> {
        range
            .pages()
            .try_for_each(|page| self.fault(page, FaultAccess::READ))
            .map_err(SpaceError::from)
    }

    /// Removes whatever regions, or parts of them, lie in `range`, with all their pages.
    ///
    /// # Errors
    /// `Pinned` if something there is; `NoMemory` for splitting a region. Nothing has changed then.
    pub fn remove(&self, range: UserRange) -> Result<(), SpaceError> {
        let mut memory = self.memory.lock();
        // SPACE-5: completes before the lock is given back.
        let mut batch = FlushBatch::new(&self.cpus);
        memory.regions.remove(range)?;
        memory.unmap(range, &mut batch);
        Ok(())
    }

    /// Repairs the fault that an access to `address` has caused, so that it can be tried again.
    ///
    /// Interrupts are on and no lock is held: a page may have to come from a file.
    ///
    /// # Errors
    /// [`FaultError`]: it cannot be repaired, and the thread must not go on.
    pub fn fault(&self, address: VirtAddr, access: FaultAccess) -> Result<(), FaultError> {
        if !address.is_user() {
            return Err(FaultError::Privilege);
        }
        let page = address.page_align_down();
        let progress = self.memory.lock().fault(page, access, None, &self.cpus)?;
        match progress {
            Progress::Done => Ok(()),
            Progress::Needs(file_page) => self.fault_on_file(page, access, file_page),
        }
    }

    /// Goes on with a fault that needs a page of a file.
    #[inline(never)]
    fn fault_on_file(
        &self,
        page: VirtAddr,
        access: FaultAccess,
        mut file_page: FilePage,
    ) -> Result<(), FaultError> {
        loop {
            // SPACE-4.
            let fetched = file_page.fetch()?;
            let progress = self
                .memory
                .lock()
                .fault(page, access, Some(&fetched), &self.cpus)?;
            match progress {
                Progress::Done => return Ok(()),
                Progress::Needs(other_page) => file_page = other_page,
            }
        }
    }

    /// Gives everything back that the space has, and makes every CPU leave it that still has it loaded. It is empty from then
    /// on, and nothing can be added.
    pub fn destroy(&self) {
        let remains = self.memory.lock().take(&self.root);
        remains.retire(&self.cpus);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.memory.get_mut().take(&self.root).retire(&self.cpus);
    }
}

impl Memory {
    /// Moves everything out. CPUs do not load the root any more.
    fn take(&mut self, root: &AtomicU64) -> Memory {
        // Release pairs with the Acquire in `flush::enter`.
        root.store(0, Ordering::Release);
        mem::replace(
            self,
            Memory {
                regions: RegionMap::new(),
                table: None,
            },
        )
    }

    /// Gives everything back, when no CPU can reach it any more.
    fn retire(self, cpus: &ActiveCpus) {
        if let Some(table) = self.table {
            table.retire(&mut FlushBatch::new(cpus));
        }
    }

    fn insert(&mut self, region: Region) -> Result<(), SpaceError> {
        // A space that has been destroyed stays empty.
        if self.table.is_some() {
            self.regions.insert(region)
        } else {
            Err(SpaceError::NotMapped)
        }
    }

    /// Unmaps all pages in `range`.
    fn unmap(&mut self, range: UserRange, batch: &mut FlushBatch<'_>) {
        let Some(table) = &mut self.table else { return };
        let mut iter = VmIterMut::new_mut(table, range.start());
        while iter.find_mapping(range.end()) {
            iter.unmap(batch);
            iter.next();
        }
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Space").field(&self.id().as_u64()).finish()
    }
}
