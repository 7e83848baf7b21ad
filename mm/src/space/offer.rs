//! Single pages that one address space offers to another.
//!
//! A page that is offered becomes shared memory of one page, in the place where it is: its frame is the source's from
//! then on, and whoever takes the offer maps the same source. So nothing else is special about it: faults, forks,
//! `protect` and `unmap` treat both ends like any shared mapping, and the frame is free when the last of them has gone.
//!
//! - OFFER-1: the frame of an offered page was the space's alone. If somebody else had it too (another process after a
//!   fork, or a file) the space has got a copy.
//! - OFFER-2: an offer names the memory, not the address: it is good as long as the space shows that memory there, and
//!   never shows what has come in its place.
//! - OFFER-3: who takes an offer may write the page only if the owner may at that moment, and can never give itself the
//!   right later. Whether it executes what it can read is its own affair: it could copy it.
#![forbid(unsafe_code)]

use alloc::sync::{Arc, Weak};

use crate::addr::{PAGE_SIZE, UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::flush::FlushBatch;
use crate::frame::{Frame, FrameKind};
use crate::heap::try_arc;
use crate::page_table::{Perm, VmIterMut};
use crate::space::backing::Backing;
use crate::space::file_backing::{FileBacking, Sharing};
use crate::space::page_source::ReadOnlySource;
use crate::space::page_source::{PageSource, SourceKind};
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};
use crate::space::shared_pages::SharedPages;
use crate::space::{FaultAccess, Memory, Space};

/// A page of shared memory that a space has at an address. It does not keep the memory.
#[derive(Clone)]
pub struct OfferedPage {
    address: VirtAddr,
    source: Weak<dyn PageSource>,
    offset: u64,
}

impl OfferedPage {
    /// Where its owner has it.
    pub fn address(&self) -> VirtAddr {
        self.address
    }

    /// Whether the memory is still there, for anybody.
    pub fn is_there(&self) -> bool {
        self.source.strong_count() > 0
    }
}

/// What the owner of an [`OfferedPage`] has there now, for another space to map.
pub struct TakenPage {
    protection: Protection,
    backing: FileBacking,
}

/// What offering a page finds.
enum Found {
    /// Shared memory.
    Shared(OfferedPage),
    /// Nothing: it has been taken away since the last look.
    Hole,
}

impl Space {
    /// Makes the page at `page`, the start of one, shared memory, unless it is already.
    ///
    /// # Errors
    /// `NotMapped` if it is in no region; `ReadOnly` if it is a shared mapping of a file; `KernelOnly`; `NoMemory`;
    /// `Unreadable`. Nothing has changed then that a user could notice.
    pub fn offer(&self, page: VirtAddr) -> Result<OfferedPage, SpaceError> {
        loop {
            self.fault(page, FaultAccess::READ)?;
            let mut memory = self.memory.write();
            // SPACE-5: completes before the lock is given back.
            let mut batch = FlushBatch::new(&self.cpus);
            if let Found::Shared(offered) = memory.offer(page, &mut batch)? {
                return Ok(offered);
            }
        }
    }

    /// What this space has where it once had `offered`; `None` if that is not the same memory any more (OFFER-2).
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn take_offer(&self, offered: &OfferedPage) -> Result<Option<TakenPage>, NoMemory> {
        let memory = self.memory.read();
        let Some(region) = memory.regions.find(offered.address) else {
            return Ok(None);
        };
        let Some((source, offset)) = region.shared_memory_at(offered.address) else {
            return Ok(None);
        };
        let is_same = offset == offered.offset
            && core::ptr::addr_eq(Arc::as_ptr(source), offered.source.as_ptr());
        if !is_same {
            return Ok(None);
        }
        let protection = region.protection & Protection::WRITE;
        let source = if protection.is_empty() && !source.is_read_only() {
            // OFFER-3.
            try_arc(ReadOnlySource::new(source.clone()))?
        } else {
            source.clone()
        };
        Ok(FileBacking::shared(source, offset)
            .ok()
            .map(|backing| TakenPage {
                protection,
                backing,
            }))
    }

    /// Maps `taken` at `page`, the start of one.
    ///
    /// # Errors
    /// Those of [`Space::add`].
    pub fn attach(&self, page: VirtAddr, taken: TakenPage) -> Result<(), SpaceError> {
        let range = UserRange::page_aligned(page.as_usize(), PAGE_SIZE)?;
        self.add(Region::file(range, taken.protection, taken.backing))
    }
}

impl Memory {
    /// As [`Space::offer`], of a page that may have been taken away.
    fn offer(&mut self, page: VirtAddr, batch: &mut FlushBatch<'_>) -> Result<Found, SpaceError> {
        let region = self.regions.find(page).ok_or(SpaceError::NotMapped)?;
        if let Some((source, offset)) = region.shared_memory_at(page) {
            return Ok(Found::Shared(OfferedPage {
                address: page,
                source: Arc::downgrade(source),
                offset,
            }));
        }
        if region.protection.contains(Protection::KERNEL) {
            return Err(SpaceError::KernelOnly);
        }
        if region.backing.is_shared() {
            return Err(SpaceError::ReadOnly);
        }
        let shared = Region {
            range: UserRange::page_aligned(page.as_usize(), PAGE_SIZE)?,
            flags: region.flags & !(RegionFlags::GROW_DOWN | RegionFlags::GROW_UP),
            growth_limit: None,
            ..region.clone()
        };
        // All that can fail comes first (SPACE-6).
        self.regions.reserve(2)?;
        self.prepare_pages(shared.range, batch)?;
        let table = self.table().ok_or(SpaceError::NotMapped)?;
        let mut iter = VmIterMut::new_mut(table, page);
        while iter.present() && iter.level() > 1 {
            iter.split(batch)?;
        }
        let Some(frame) = own_frame(&iter)? else {
            return Ok(Found::Hole);
        };
        let pages = SharedPages::of_frame(frame.share())?;
        let offered = OfferedPage {
            address: page,
            source: Arc::downgrade(&pages) as Weak<dyn PageSource>,
            offset: 0,
        };
        let backing = Backing::File(FileBacking::shared(pages, 0)?);
        iter.try_map(frame, shared.protection.perm() | Perm::SHARED, batch)?;
        self.regions.replace(Region { backing, ..shared })?;
        Ok(Found::Shared(offered))
    }
}

/// The frame of the page of 4 KiB at `page`, or a copy if it is somebody else's too (OFFER-1); `None` if there is none.
fn own_frame(page: &VmIterMut<'_>) -> Result<Option<Frame>, NoMemory> {
    if page.owns_frame_alone() {
        Ok(page.share_frame())
    } else {
        page.copy_frame(FrameKind::Anonymous).transpose()
    }
}

impl Region {
    /// The source, and the place in it, of the page at `page`, if that is memory that is shared without a file.
    fn shared_memory_at(&self, page: VirtAddr) -> Option<(&Arc<dyn PageSource>, u64)> {
        match &self.backing {
            Backing::File(file)
                if file.sharing() == Sharing::Shared && file.kind() == SourceKind::Memory =>
            {
                Some(file.place_at(page.as_u64() - self.range.start().as_u64()))
            }
            _ => None,
        }
    }
}
