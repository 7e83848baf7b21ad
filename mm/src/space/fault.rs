//! Page faults: what a touch of a user address brings about.
//!
//! The region says what the user may do and what the page holds; the page table says what is there already.
//!
//! - A page that nobody has touched is filled in: zeros, the file's own frame as long as it is only read, or a copy of
//!   it.
//! - A write to a page that a fork or a file shares gets a copy, unless the others have gone: then it only regains the
//!   right. The old translation is gone from all CPUs before the copy is in its place (TLB-5).
//! - Faults of one space run in parallel. On one page only one does the work: it fills the entry in one step, or claims
//!   it while it makes a copy.
//! - A fault that finds all as it should be is none: another thread has been faster, or this CPU remembered less than
//!   it could.
//! - Everything else is an error, and the end of the thread.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::fmt;

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::error::{MapError, NoMemory, SpaceError};
use crate::flush::{ActiveCpus, FlushBatch, Kernel, limbo};
use crate::frame::{self, Frame, FrameKind};
use crate::page_table::{Entry, Faulting, Perm, VmIter, VmIterMut};
use crate::space::Memory;
use crate::space::backing::PageContent;
use crate::space::file_backing::Sharing;
use crate::space::page_source::{PageSource, PageSourceError};
use crate::space::protection::Protection;
use crate::space::region::Region;

/// What somebody wanted to do when the processor stopped him.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct FaultAccess {
    /// To write; otherwise to read, or to execute.
    pub write: bool,
    /// To execute.
    pub execute: bool,
    /// In user mode, where what is the kernel's is out of reach.
    pub user: bool,
}

impl FaultAccess {
    /// To read, by the kernel.
    pub const READ: FaultAccess = FaultAccess {
        write: false,
        execute: false,
        user: false,
    };
    /// To write, by the kernel.
    pub const WRITE: FaultAccess = FaultAccess {
        write: true,
        execute: false,
        user: false,
    };
    /// To execute, by the kernel.
    pub const EXECUTE: FaultAccess = FaultAccess {
        write: false,
        execute: true,
        user: false,
    };

    /// Whether a region with `protection` allows it.
    #[inline]
    fn check_allowed_by(self, protection: Protection) -> Result<(), FaultError> {
        if self.user && protection.contains(Protection::KERNEL) {
            return Err(FaultError::Privilege);
        }
        let is_allowed = (!self.write || protection.contains(Protection::WRITE))
            && (!self.execute || protection.contains(Protection::EXECUTE));
        is_allowed.then_some(()).ok_or(FaultError::Permission)
    }

    #[inline]
    fn is_possible_with(self, perm: Perm) -> bool {
        (!self.write || perm.contains(Perm::WRITE))
            && (!self.execute || !perm.contains(Perm::NO_EXECUTE))
    }
}

/// Why a fault cannot be repaired. Shown as the name of its class.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum FaultError {
    /// The address is not in user space, or only the kernel may use it.
    Privilege,
    /// The address is in no region.
    MissingPage,
    /// The region does not allow the access.
    Permission,
    /// There is no memory for the page.
    NoMemory,
    /// The page is a file's, and the file cannot be read.
    Unreadable,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultError::Privilege => "privilege",
            FaultError::MissingPage => "missing page",
            FaultError::Permission => "permission",
            FaultError::NoMemory => "out of memory",
            FaultError::Unreadable => "unreadable file",
        })
    }
}

impl From<NoMemory> for FaultError {
    fn from(_: NoMemory) -> FaultError {
        FaultError::NoMemory
    }
}

impl From<MapError> for FaultError {
    fn from(error: MapError) -> FaultError {
        match error {
            MapError::NoMemory => FaultError::NoMemory,
            MapError::NotAligned | MapError::OutOfRange | MapError::AlreadyMapped => {
                FaultError::Permission
            }
        }
    }
}

impl From<FaultError> for SpaceError {
    fn from(error: FaultError) -> SpaceError {
        match error {
            FaultError::NoMemory => SpaceError::NoMemory,
            FaultError::Unreadable => SpaceError::Unreadable,
            FaultError::Privilege | FaultError::MissingPage | FaultError::Permission => {
                SpaceError::NotMapped
            }
        }
    }
}

/// A page of a file, which can be had only without holding the space's lock.
pub(super) struct FilePage {
    source: Arc<dyn PageSource>,
    index: u64,
}

/// A [`FilePage`] that has been had.
pub(super) struct FetchedPage {
    of: FilePage,
    /// `None` if the file has become shorter than that.
    frame: Option<Frame>,
}

impl FilePage {
    /// The page `index` of `source`.
    pub(super) fn new(source: &Arc<dyn PageSource>, index: u64) -> FilePage {
        FilePage {
            source: source.clone(),
            index,
        }
    }

    /// Asks the file. It may wait.
    pub(super) fn fetch(self) -> Result<FetchedPage, FaultError> {
        let frame = match self.source.page(self.index) {
            Ok(frame) => Some(frame),
            Err(PageSourceError::PastEnd) => None,
            Err(PageSourceError::NoMemory) => return Err(FaultError::NoMemory),
            Err(PageSourceError::Unreadable) => return Err(FaultError::Unreadable),
        };
        Ok(FetchedPage { of: self, frame })
    }
}

impl FetchedPage {
    /// What to map for it in a region with `protection`, and with what rights, if `len_bytes` of its bytes count.
    pub(super) fn mapped(
        &self,
        len_bytes: usize,
        sharing: Sharing,
        protection: Protection,
        is_write: bool,
    ) -> Result<(Frame, Perm), NoMemory> {
        match (&self.frame, sharing) {
            (Some(file), Sharing::Shared) => Ok((file.share(), protection.perm() | Perm::SHARED)),
            (file, _) => file_page(file.as_ref(), len_bytes, protection, is_write),
        }
    }

    fn is(&self, source: &Arc<dyn PageSource>, index: u64) -> bool {
        self.of.index == index && Arc::ptr_eq(&self.of.source, source)
    }
}

/// How far a fault has come.
pub(super) enum Progress {
    /// The access can be tried again.
    Done,
    /// This page is needed; then the fault is to be tried again with it, from the start.
    Needs(FilePage),
    /// The space has to be changed in a way for which one must have it alone: [`Memory::prepare_fault`]. Then the fault
    /// is to be tried again.
    NeedsAlone,
}

impl Memory {
    /// Repairs a fault on `page`, the start of one, along with other threads. `fetched` is what an earlier try needed.
    #[inline(always)]
    pub(super) fn fault(
        &self,
        page: VirtAddr,
        access: FaultAccess,
        fetched: Option<&FetchedPage>,
        cpus: &ActiveCpus,
    ) -> Result<Progress, FaultError> {
        let Some(region) = self.regions.find(page) else {
            // A region nearby may be one that grows.
            return Ok(Progress::NeedsAlone);
        };
        let Some(table) = &self.table else {
            return Err(FaultError::MissingPage);
        };
        access.check_allowed_by(region.protection)?;
        let mut iter = table.fault_iter(page);
        let entry = iter.entry();
        let is_leaf = entry.is_leaf(iter.level());
        if is_leaf && access.is_possible_with(iter.effective_perm(entry)) {
            // Somebody else was faster, or this CPU remembered less than it could.
            Ok(Progress::Done)
        } else if entry.is_claimed() {
            // Somebody else is about to put a page there.
            Ok(Progress::Done)
        } else if iter.is_shared() || (is_leaf && !can_be_claimed(entry, iter.level())) {
            Ok(Progress::NeedsAlone)
        } else if is_leaf {
            break_sharing(&mut iter, entry, region, cpus)
        } else {
            fill(&mut iter, region, access, fetched)
        }
    }

    /// Does what a fault on `page` needs the space alone for: makes the tables private, and splits a big page.
    ///
    /// # Errors
    /// As for [`Space::fault`](crate::space::Space::fault).
    pub(super) fn prepare_fault(
        &mut self,
        page: VirtAddr,
        access: FaultAccess,
        cpus: &ActiveCpus,
    ) -> Result<(), FaultError> {
        let (Some(region), Some(table)) = (self.regions.grow_to(page), &mut self.table) else {
            return Err(FaultError::MissingPage);
        };
        limbo::drain_range(Kernel, cpus.space(), region.range);
        access.check_allowed_by(region.protection)?;
        let mut batch = FlushBatch::new(cpus);
        let mut iter = VmIterMut::new_mut(table.get_mut(), page);
        iter.make_private(&mut batch)?;
        while iter.present() && !access.is_possible_with(iter.perm()) {
            let entry = iter.entry();
            if entry.perm().intersects(Perm::SHARED | Perm::BORROWED) {
                let kept = entry.perm() & Perm::SHARED;
                iter.protect(region.protection.perm() | kept, &mut batch);
            } else if iter.level() == 1 {
                break;
            } else if iter.owns_frame_alone() {
                // An upgrade of rights sends nothing.
                iter.protect(region.protection.perm(), &mut batch);
            } else {
                // One page of 4 KiB is copied; the rest of a big page stays shared.
                iter.split(&mut batch)?;
            }
        }
        Ok(())
    }
}

/// Whether a fault may take the leaf `entry`, of this level, to itself and then have a copy in its place.
#[inline]
fn can_be_claimed(entry: Entry, level: u32) -> bool {
    level == 1 && !entry.perm().intersects(Perm::BORROWED | Perm::SHARED)
}

/// Maps what the page at `iter` holds before anybody has written it.
#[inline(always)]
fn fill(
    iter: &mut VmIter<'_, Faulting>,
    region: &Region,
    access: FaultAccess,
    fetched: Option<&FetchedPage>,
) -> Result<Progress, FaultError> {
    if region.backing.is_anonymous() {
        return match frame::alloc_zeroed(FrameKind::Anonymous) {
            Ok(frame) => {
                let filled = iter.try_fill(frame, region.protection.perm());
                done(iter, filled)
            }
            Err(NoMemory) => look_again(iter),
        };
    }
    fill_from_backing(iter, region, access, fetched)
}

/// What a fault does that has found no memory for the hole at `iter`. Another thread may have had the last, and have
/// filled the hole, or put a table there.
#[cold]
fn look_again(iter: &mut VmIter<'_, Faulting>) -> Result<Progress, FaultError> {
    if iter.has_changed() {
        Ok(Progress::NeedsAlone)
    } else {
        Err(FaultError::NoMemory)
    }
}

/// As `fill`, of a region that shows something.
#[inline(never)]
fn fill_from_backing(
    iter: &mut VmIter<'_, Faulting>,
    region: &Region,
    access: FaultAccess,
    fetched: Option<&FetchedPage>,
) -> Result<Progress, FaultError> {
    let (frame, perm) = match region.content_at(iter.va()) {
        PageContent::Zero => match frame::alloc_zeroed(FrameKind::Anonymous) {
            Ok(frame) => (frame, region.protection.perm()),
            Err(NoMemory) => return look_again(iter),
        },
        PageContent::File {
            source,
            index,
            len_bytes,
            sharing,
        } => match fetched {
            Some(fetched) if fetched.is(source, index) => {
                match fetched.mapped(len_bytes, sharing, region.protection, access.write) {
                    Ok(page) => page,
                    Err(NoMemory) => return look_again(iter),
                }
            }
            _ => {
                return Ok(Progress::Needs(FilePage::new(source, index)));
            }
        },
        PageContent::Physical { .. } => {
            let filled = region.map_physical_around(iter);
            return done(iter, filled);
        }
    };
    let filled = iter.try_fill(frame, perm);
    done(iter, filled)
}

/// What a fault has come to that has tried to fill the hole at `iter`.
#[inline(always)]
fn done(
    iter: &mut VmIter<'_, Faulting>,
    filled: Result<(), MapError>,
) -> Result<Progress, FaultError> {
    match filled {
        // Another thread was faster, or is about to put something there.
        Ok(()) | Err(MapError::AlreadyMapped) => Ok(Progress::Done),
        Err(MapError::NoMemory) => look_again(iter),
        Err(error) => Err(error.into()),
    }
}

/// What to map for a page of a file of which `len_bytes` bytes count: the file's own frame, for whoever only reads all
/// of it, or else a copy of as much.
#[inline(never)]
fn file_page(
    file: Option<&Frame>,
    len_bytes: usize,
    protection: Protection,
    is_write: bool,
) -> Result<(Frame, Perm), NoMemory> {
    let Some(file) = file else {
        return Ok((
            frame::alloc_zeroed(FrameKind::Anonymous)?,
            protection.perm(),
        ));
    };
    if len_bytes == PAGE_SIZE && !is_write {
        return Ok((file.share(), protection.shared_perm()));
    }
    let copy = file.copy(FrameKind::Anonymous)?;
    copy.write_bytes(len_bytes, ZEROS.get(len_bytes..).unwrap_or_default());
    Ok((copy, protection.perm()))
}

static ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

/// Gives the page of 4 KiB at `iter`, whose entry is `entry`, and which the region allows to be written, to this space
/// alone.
#[inline(never)]
fn break_sharing(
    iter: &mut VmIter<'_, Faulting>,
    entry: Entry,
    region: &Region,
    cpus: &ActiveCpus,
) -> Result<Progress, FaultError> {
    let perm = region.protection.perm();
    let Some(claim) = iter.claim(entry) else {
        return Ok(Progress::Done);
    };
    claim.make_own(perm, Kernel, cpus)?;
    Ok(Progress::Done)
}
