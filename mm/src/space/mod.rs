//! Address spaces: regions, which say what a user may do where, and a page table, which says what is there already.
//!
//! **Guarantee.** A user's access either does what the region at the address says, or becomes an error; it never
//! reaches memory that the region does not have. What two spaces share, neither sees the other write. When a space is
//! gone, all that it had is free again, and no CPU can still reach it.
//!
//! How: [`Space::add`] and [`Space::remove`] change the regions, [`Space::fault`] fills in pages and breaks sharing,
//! [`Space::fork`] makes a second space that shares this one's frames. Whatever takes something away from the page
//! table collects it in a [`FlushBatch`].
//!
//! - SPACE-1: what is mapped lies in a region, and has no more rights than it.
//! - SPACE-2: in a region made by `page_alloc` every page is mapped.
//! - SPACE-3: a page whose frame others may have too is mapped read-only, unless it is shared on purpose
//!   (`Perm::SHARED`).
//! - SPACE-4: a file is asked for pages with no lock held, since it may wait; afterwards everything is looked at again.
//! - SPACE-5: what an operation has taken away is gone from all CPUs before the lock is given back. Otherwise another
//!   thread could map or copy a page that a third still writes by an old translation, and the store would be lost.
//!   Under `shootdown=deferred` a plain [`Space::remove`] only leaves it in [`limbo`]: nobody can map or copy it any
//!   more, and whatever is about to be mapped there drains it first.
//! - SPACE-6: an operation that has to make page-table pages private, or to split big ones, does so before it changes
//!   anything that a user can see, since that may fail.
//!
//! One reader/writer lock guards regions and page table. Faults read: they fill holes, and take single pages to
//! themselves (`page_table/claim.rs`), so they run in parallel. Whatever changes regions, forks, or makes tables
//! private, writes, and holds off faults meanwhile.

mod backing;
mod change;
mod exchange;
mod fault;
mod file_backing;
mod fork;
mod initial;
mod inspect;
mod look;
mod mapping;
mod memory_name;
mod move_frames;
mod offer;
mod page_alloc;
mod page_source;
mod placement;
mod populate;
mod protection;
mod region;
mod region_map;
mod shared_pages;
mod switch;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::{fmt, mem};

use smp::sync::{AtomicU64, Ordering};

use crate::addr::{PAGE_SIZE, UserRange, VirtAddr};
use crate::aspace::ThreadCount;
use crate::error::{NoMemory, SpaceError};
use crate::flush::{ActiveCpus, FlushBatch, Kernel, SpaceId, limbo};
use crate::heap::try_arc;
use crate::page_table::{FaultTable, PageTable};
use crate::rw_lock::RwLock;

pub use backing::Backing;
pub use exchange::FrameHash;
pub use fault::{FaultAccess, FaultError};
pub use file_backing::{FileBacking, Sharing};
pub use fork::{ForkPolicy, break_copy_on_write};
pub use look::{Look, SeenPage};
pub use mapping::{MappedPage, Mapping};
pub use memory_name::MemoryName;
pub use offer::{OfferedPage, TakenPage};
pub use page_alloc::break_page_alloc;
pub use page_source::{PageSource, PageSourceError, ReadOnlySource, SourceKind};
pub use protection::Protection;
pub use region::{Region, RegionFlags};
pub use region_map::{GUARD_PAGES, break_guard};
pub use shared_pages::SharedPages;
pub use switch::{activate, become_idle};

use fault::Progress;
use placement::Placement;
use region_map::RegionMap;

/// An address space. See the module's page.
pub struct Space {
    /// Which CPUs use it.
    cpus: ActiveCpus,
    /// What goes into CR3; 0 once the space has been destroyed. Changed with `memory` locked for writing.
    root: AtomicU64,
    threads: ThreadCount,
    memory: RwLock<Memory>,
}

/// What the lock of a [`Space`] guards.
struct Memory {
    regions: RegionMap,
    /// `None` once the space has been destroyed.
    table: Option<FaultTable>,
    placement: Placement,
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
        let memory = RwLock::new(Memory {
            regions: RegionMap::new(),
            table: Some(FaultTable::new(table)),
            placement: Placement::new(),
        });
        try_arc(Space {
            cpus: ActiveCpus::new(id),
            root,
            threads: ThreadCount::new(),
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
    /// `Overlap`, `NoMemory`, `Unreadable` for an eager part of a file; `NotGrowable`, `Unaligned`, `KernelOnly`,
    /// `ReadOnly`, `WrongLength` if there can be no such region. Nothing has changed then.
    pub fn add(&self, region: Region) -> Result<(), SpaceError> {
        if region.flags.contains(RegionFlags::EAGER) {
            return self.add_eager(region);
        }
        self.memory.write().insert(region, &self.cpus)
    }

    /// Adds the region that `make` makes of a free range of `len_bytes` bytes, a multiple of the page size, and returns
    /// its range. It begins at a multiple of `align_bytes`.
    ///
    /// # Errors
    /// Those of [`Space::add`] and of `make`; `NoMemory` also if there is no such range.
    pub fn add_anywhere(
        &self,
        len_bytes: usize,
        align_bytes: usize,
        make: impl FnOnce(UserRange) -> Result<Region, SpaceError>,
    ) -> Result<UserRange, SpaceError> {
        let mut memory = self.memory.write();
        let range = memory.find_free(len_bytes, align_bytes)?;
        let region = make(range)?;
        if region.flags.contains(RegionFlags::EAGER) {
            drop(memory);
            return self.add_eager_anywhere(region, align_bytes);
        }
        memory.insert(region, &self.cpus)?;
        Ok(range)
    }

    /// Repairs the fault that an access to `address` has caused, so that it can be tried again.
    ///
    /// Interrupts are on and no spin lock is held: a page may have to come from a file, and the lock may be another's.
    ///
    /// # Errors
    /// [`FaultError`]: it cannot be repaired, and the thread must not go on.
    pub fn fault(&self, address: VirtAddr, access: FaultAccess) -> Result<(), FaultError> {
        if !address.is_user() {
            return Err(FaultError::Privilege);
        }
        let page = address.page_align_down();
        match self.try_fault(page, access) {
            Err(FaultError::NoMemory) if limbo::drain_if_used() => self.try_fault(page, access),
            outcome => outcome,
        }
    }

    #[inline]
    fn try_fault(&self, page: VirtAddr, access: FaultAccess) -> Result<(), FaultError> {
        // A statement of its own, so that the lock is given back before the match.
        let progress = self.memory.read().fault(page, access, None, &self.cpus)?;
        match progress {
            Progress::Done => Ok(()),
            progress => self.fault_slowly(page, access, progress),
        }
    }

    /// Goes on with a fault that needs more than the lock for reading.
    #[inline(never)]
    fn fault_slowly(
        &self,
        page: VirtAddr,
        access: FaultAccess,
        mut progress: Progress,
    ) -> Result<(), FaultError> {
        let mut fetched = None;
        loop {
            progress = match progress {
                Progress::Done => return Ok(()),
                Progress::Needs(file_page) => {
                    // SPACE-4.
                    fetched = Some(file_page.fetch()?);
                    let memory = self.memory.read();
                    memory.fault(page, access, fetched.as_ref(), &self.cpus)?
                }
                Progress::NeedsAlone => {
                    let mut memory = self.memory.write();
                    memory.prepare_fault(page, access, &self.cpus)?;
                    memory.fault(page, access, fetched.as_ref(), &self.cpus)?
                }
            }
        }
    }

    /// Gives everything back that the space has, and makes every CPU leave it that still has it loaded. It is empty
    /// from then on, and nothing can be added.
    pub fn destroy(&self) {
        let remains = self.memory.write().take(&self.root);
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
        // Release pairs with the Acquire in `flush::switch::enter`.
        root.store(0, Ordering::Release);
        mem::replace(
            self,
            Memory {
                regions: RegionMap::new(),
                table: None,
                placement: Placement::new(),
            },
        )
    }

    /// Gives everything back, when no CPU can reach it any more.
    fn retire(self, cpus: &ActiveCpus) {
        if let Some(table) = self.table {
            table.into_inner().retire(&mut FlushBatch::new(cpus));
        }
    }

    /// A free range of `len_bytes` bytes, a multiple of the page size, that begins at a multiple of `align_bytes`.
    ///
    /// # Errors
    /// `NoMemory` if there is none.
    #[inline]
    fn find_free(&mut self, len_bytes: usize, align_bytes: usize) -> Result<UserRange, SpaceError> {
        let Memory {
            regions, placement, ..
        } = self;
        placement
            .find_free(regions, len_bytes / PAGE_SIZE, align_bytes)
            .ok_or(SpaceError::NoMemory)
    }

    /// Adds a region, once nothing that was there before can be reached any more.
    fn insert(&mut self, region: Region, cpus: &ActiveCpus) -> Result<(), SpaceError> {
        if self.table.is_none() {
            // A space that has been destroyed stays empty.
            return Err(SpaceError::NotMapped);
        }
        let range = region.range;
        self.regions.insert(region)?;
        limbo::drain_range(Kernel, cpus.space(), range);
        Ok(())
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Space").field(&self.id().as_u64()).finish()
    }
}
