//! A region: a range of an address space with one backing and one set of rights.
#![forbid(unsafe_code)]

use core::fmt;

use crate::addr::{UserRange, VirtAddr};
use crate::error::SpaceError;
use crate::page_table::PhysicalRange;
use crate::space::backing::{Backing, PageContent};
use crate::space::file_backing::FileBacking;
use crate::space::protection::Protection;

bitflags::bitflags! {
    /// How a region is treated.
    #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
    pub struct RegionFlags: u8 {
        /// All of it is mapped when it is added; otherwise each page when it is first touched.
        const EAGER = 1;
        /// Made by `page_alloc`, which may replace pages in it.
        const PAGE_ALLOC = 1 << 1;
        /// It can be neither removed nor moved.
        const PINNED = 1 << 2;
        /// A touch below it makes it longer downwards: a stack.
        const GROW_DOWN = 1 << 3;
        /// A touch behind it makes it longer upwards.
        const GROW_UP = 1 << 4;
    }
}

/// A range of an address space with one backing and one set of rights.
///
/// Shown as one line: its range, its rights as `rwxk`, its flags and its backing as words.
#[derive(Clone)]
pub struct Region {
    /// Its addresses.
    pub range: UserRange,
    /// Its rights.
    pub protection: Protection,
    /// How it is treated.
    pub flags: RegionFlags,
    /// If it grows: the lowest address, or the highest end, that it may come to have. Without one it grows until a
    /// guard gap before its neighbour. A part that is cut off keeps it.
    pub growth_limit: Option<VirtAddr>,
    /// Where its contents come from.
    pub backing: Backing,
}

impl Region {
    /// A region with this backing and no flags.
    pub fn new(range: UserRange, protection: Protection, backing: Backing) -> Region {
        Region {
            range,
            protection,
            flags: RegionFlags::empty(),
            growth_limit: None,
            backing,
        }
    }

    /// A region of zeros.
    pub fn anonymous(range: UserRange, protection: Protection, flags: RegionFlags) -> Region {
        Region::new(range, protection, Backing::Anonymous).with_flags(flags)
    }

    /// A region that shows a part of a file, or shared memory.
    pub fn file(range: UserRange, protection: Protection, file: FileBacking) -> Region {
        Region::new(range, protection, Backing::File(file))
    }

    /// A region that shows all of `memory` at `start`, for the kernel only.
    ///
    /// # Errors
    /// Those of [`UserRange::page_aligned`].
    pub fn physical(
        start: VirtAddr,
        protection: Protection,
        memory: PhysicalRange,
    ) -> Result<Region, SpaceError> {
        let range = UserRange::page_aligned(start.as_usize(), memory.len_bytes() as usize)?;
        let protection = protection | Protection::KERNEL;
        Ok(Region::new(range, protection, Backing::Physical(memory)))
    }

    /// The same region with these flags too.
    pub fn with_flags(self, flags: RegionFlags) -> Region {
        Region {
            flags: self.flags | flags,
            ..self
        }
    }

    /// The same region, but it grows down, to `limit` at most.
    pub fn growing_down(self, limit: Option<VirtAddr>) -> Region {
        Region {
            growth_limit: limit,
            ..self.with_flags(RegionFlags::GROW_DOWN)
        }
    }

    /// The same region, but it grows up, until its end is `limit` at most.
    pub fn growing_up(self, limit: Option<VirtAddr>) -> Region {
        Region {
            growth_limit: limit,
            ..self.with_flags(RegionFlags::GROW_UP)
        }
    }

    /// The same region at `range`, which is as long. A limit to its growth stays as far away.
    pub(super) fn moved_to(self, range: UserRange) -> Region {
        let (from, to) = (self.range.start().as_u64(), range.start());
        let moved = |limit: VirtAddr| match limit.as_u64().checked_sub(from) {
            Some(above) => to.checked_add(above),
            None => to.checked_sub(from - limit.as_u64()),
        };
        Region {
            growth_limit: self.growth_limit.and_then(moved),
            range,
            ..self
        }
    }

    /// Whether there can be such a region. What is made of it by cutting, joining and growing can be then, too.
    ///
    /// # Errors
    /// `ReadOnly` if it would let users write a file that may not be written, `KernelOnly` for physical memory without
    /// [`Protection::KERNEL`], `WrongLength` for physical memory that is not as long as the region, `NotGrowable` for
    /// one that grows but is not plain anonymous memory, that grows both ways, or whose limit lies inside of it or has
    /// nothing to limit; `Unaligned` for a limit, or memory, that does not begin with a page.
    #[inline]
    pub(super) fn check(&self) -> Result<(), SpaceError> {
        if let Backing::Physical(memory) = self.backing {
            if !self.protection.contains(Protection::KERNEL) {
                return Err(SpaceError::KernelOnly);
            }
            if memory.len_bytes() != self.range.len_bytes() as u64 {
                return Err(SpaceError::WrongLength);
            }
            if !memory.start().is_page_aligned() {
                return Err(SpaceError::Unaligned);
            }
        }
        if self.protection.contains(Protection::WRITE) && !self.backing.may_be_written() {
            return Err(SpaceError::ReadOnly);
        }
        let is_plain = self.backing.is_anonymous() && !self.flags.contains(RegionFlags::PAGE_ALLOC);
        let limit = self.growth_limit;
        let is_possible = match (self.grows_down(), self.grows_up()) {
            (false, false) => limit.is_none(),
            (true, false) => is_plain && limit.is_none_or(|limit| limit <= self.range.start()),
            (false, true) => is_plain && limit.is_none_or(|limit| limit >= self.range.end()),
            (true, true) => false,
        };
        if !is_possible {
            return Err(SpaceError::NotGrowable);
        }
        if limit.is_some_and(|limit| !limit.is_page_aligned()) {
            return Err(SpaceError::Unaligned);
        }
        Ok(())
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.flags.contains(RegionFlags::PINNED)
    }

    pub(super) fn grows_down(&self) -> bool {
        self.flags.contains(RegionFlags::GROW_DOWN)
    }

    pub(super) fn grows_up(&self) -> bool {
        self.flags.contains(RegionFlags::GROW_UP)
    }

    /// What the page at `page`, in the region, holds before anybody has written it.
    #[inline]
    pub(super) fn content_at(&self, page: VirtAddr) -> PageContent<'_> {
        self.backing
            .content_at(page.as_u64() - self.range.start().as_u64())
    }

    /// Cuts the region at `boundary`, if that is inside of it, and returns the part from there on.
    pub(super) fn split_off(&mut self, boundary: VirtAddr) -> Option<Region> {
        let (below, above) = self.range.split_at(boundary)?;
        let backing = self.backing.split_off(below.len_bytes() as u64);
        self.range = below;
        Some(Region {
            range: above,
            backing,
            ..*self
        })
    }

    /// Becomes the region that is this one and `next` together, if they touch and differ in nothing else. Says whether
    /// it has.
    #[inline(always)]
    pub(super) fn absorb(&mut self, next: &Region) -> bool {
        // What neighbours mostly differ in comes first.
        self.range.end() == next.range.start()
            && self.protection == next.protection
            && self.absorb_neighbour(next)
    }

    /// As `absorb`, if they touch and have the same rights.
    #[inline(never)]
    fn absorb_neighbour(&mut self, next: &Region) -> bool {
        let Some(range) = self.range.joined_with(next.range) else {
            return false;
        };
        let is_alike = self.flags == next.flags && self.growth_limit == next.growth_limit;
        let len_bytes = self.range.len_bytes() as u64;
        if !is_alike || !self.backing.absorb(len_bytes, &next.backing) {
            return false;
        }
        self.range = range;
        true
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.range, self.protection)?;
        for (flag, word) in [
            (RegionFlags::EAGER, " eager"),
            (RegionFlags::PAGE_ALLOC, " page_alloc"),
            (RegionFlags::PINNED, " pinned"),
            (RegionFlags::GROW_DOWN, " grow-down"),
            (RegionFlags::GROW_UP, " grow-up"),
        ] {
            if self.flags.contains(flag) {
                f.write_str(word)?;
            }
        }
        if let Some(limit) = self.growth_limit {
            write!(f, " to {limit}")?;
        }
        write!(f, " {}", self.backing)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Region, RegionFlags};
    use crate::addr::PAGE_SIZE;
    use crate::space::backing::Backing;
    use crate::space::file_backing::FileBacking;
    use crate::space::protection::Protection;
    use crate::space::shared_pages::SharedPages;
    use crate::space::tests::{address, imaginary_memory, range};

    fn physical(page: usize, first_page: usize, len_pages: usize) -> Region {
        let memory = imaginary_memory(first_page, len_pages);
        Region::physical(address(page), Protection::WRITE, memory).unwrap()
    }

    /// The first page of its memory, and how many there are.
    fn memory_of(region: &Region) -> (usize, usize) {
        match region.backing {
            Backing::Physical(memory) => (
                memory.start().as_usize() / PAGE_SIZE,
                memory.len_bytes() as usize / PAGE_SIZE,
            ),
            _ => panic!("{region} is not physical"),
        }
    }

    #[test]
    fn parts_of_a_physical_region_show_what_the_whole_did_and_are_valid() {
        let mut region = physical(0, 100, 6);
        let above = region.split_off(address(2)).unwrap();
        assert_eq!([&region, &above].map(memory_of), [(100, 2), (102, 4)]);
        assert_eq!([region.check(), above.check()], [Ok(()), Ok(())]);
        assert!(!region.absorb(&physical(2, 103, 4)));
        assert!(region.absorb(&above));
        assert_eq!((region.range, memory_of(&region)), (range(0, 6), (100, 6)));
    }

    #[test]
    fn a_limit_to_growth_moves_along() {
        let region = Region::anonymous(range(10, 2), Protection::WRITE, RegionFlags::empty());
        let down = region.clone().growing_down(Some(address(4)));
        assert_eq!(down.moved_to(range(20, 2)).growth_limit, Some(address(14)));
        let up = region.growing_up(Some(address(15)));
        assert_eq!(up.moved_to(range(2, 2)).growth_limit, Some(address(7)));
    }

    #[test]
    fn a_region_is_shown_as_one_line() {
        let memory = || SharedPages::new(8).unwrap();
        let private = FileBacking::new(memory(), 0x3000, 1).unwrap();
        let shared = FileBacking::shared(memory(), 0).unwrap();
        let (write, execute) = (Protection::WRITE, Protection::EXECUTE);
        let page = |protection| Region::new(range(0, 1), protection, Backing::Anonymous);
        for (region, rest) in [
            (page(Protection::empty()), "r--- anonymous"),
            (
                page(write | execute).growing_up(Some(address(2))),
                "rwx- grow-up to 0xffff800000002000 anonymous",
            ),
            (
                Region::file(range(0, 1), execute, private),
                "r-x- private memory 0x3000",
            ),
            (
                Region::file(range(0, 1), write, shared)
                    .with_flags(RegionFlags::PINNED | RegionFlags::EAGER),
                "rw-- eager pinned shared memory 0x0",
            ),
            (physical(0, 0xb8, 1), "rw-k physical 0xb8000"),
        ] {
            let range = "[0xffff800000000000, 0xffff800000001000)";
            assert_eq!(region.to_string(), format!("{range} {rest}"));
        }
    }
}
