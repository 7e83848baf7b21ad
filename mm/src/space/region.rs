//! A region: a range of an address space with one backing and one set of rights.
#![forbid(unsafe_code)]

use core::fmt;

use crate::addr::{UserRange, VirtAddr};
use crate::page_table::Perm;
use crate::space::backing::{Backing, PageContent};

bitflags::bitflags! {
    /// What the user may do with a region besides reading it, which is always allowed.
    #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
    pub struct Protection: u8 {
        /// Its memory may be written.
        const WRITE = 1;
        /// Its memory may be executed.
        const EXECUTE = 1 << 1;
    }

    /// How a region is treated.
    #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
    pub struct RegionFlags: u8 {
        /// All of it is mapped when it is added; otherwise each page when it is first touched.
        const EAGER = 1;
        /// Made by `page_alloc`, which may replace pages in it.
        const PAGE_ALLOC = 1 << 1;
    }
}

impl Protection {
    /// What the entry of a page allows that belongs to this address space alone.
    #[inline]
    pub(super) fn perm(self) -> Perm {
        let write = if self.contains(Protection::WRITE) {
            Perm::WRITE
        } else {
            Perm::empty()
        };
        let no_execute = if self.contains(Protection::EXECUTE) {
            Perm::empty()
        } else {
            Perm::NO_EXECUTE
        };
        Perm::USER_READ | write | no_execute
    }

    /// What the entry of a page allows that others share: as `perm`, but the first write is to get a copy.
    #[inline]
    pub(super) fn shared_perm(self) -> Perm {
        let perm = self.perm();
        if perm.contains(Perm::WRITE) {
            (perm - Perm::WRITE) | Perm::COPY_ON_WRITE
        } else {
            perm
        }
    }
}

/// A range of an address space with one backing and one set of rights.
#[derive(Clone)]
pub struct Region {
    /// Its addresses.
    pub range: UserRange,
    /// Its rights.
    pub protection: Protection,
    /// How it is treated.
    pub flags: RegionFlags,
    /// Where its contents come from.
    pub backing: Backing,
}

impl Region {
    /// A region of zeros.
    pub fn anonymous(range: UserRange, protection: Protection, flags: RegionFlags) -> Region {
        Region {
            range,
            protection,
            flags,
            backing: Backing::Anonymous,
        }
    }

    /// What the page at `page`, in the region, holds before anybody has written it.
    #[inline]
    pub(super) fn content_at(&self, page: VirtAddr) -> PageContent<'_> {
        self.backing
            .content_at(page.as_u64() - self.range.start().as_u64())
    }

    /// The part of the region below `boundary`, if any.
    pub(super) fn below(&self, boundary: VirtAddr) -> Option<Region> {
        let range = self.range.below(boundary)?;
        Some(Region {
            range,
            backing: self.backing.clone(),
            ..*self
        })
    }

    /// The part of the region from `boundary` on, if any.
    pub(super) fn from(&self, boundary: VirtAddr) -> Option<Region> {
        let range = self.range.from(boundary)?;
        let distance = range.start().as_u64() - self.range.start().as_u64();
        Some(Region {
            range,
            backing: self.backing.advanced(distance),
            ..*self
        })
    }

    /// The region that is this one and `next` together, if they touch and differ in nothing else.
    pub(super) fn merged_with(&self, next: &Region) -> Option<Region> {
        let is_alike = self.protection == next.protection && self.flags == next.flags;
        let is_plain = self.backing.is_anonymous() && next.backing.is_anonymous();
        if !is_alike || !is_plain {
            return None;
        }
        let range = self.range.joined_with(next.range)?;
        Some(Region {
            range,
            backing: Backing::Anonymous,
            ..*self
        })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backing = if self.backing.is_anonymous() {
            "anonymous"
        } else {
            "file"
        };
        write!(
            f,
            "{:?} {backing} {:?} {:?}",
            self.range, self.protection, self.flags
        )
    }
}
