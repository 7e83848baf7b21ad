//! What the checks are made of: ranges, patterns, and looks at what is mapped.

use mm::addr::{self, PAGE_SIZE, PhysAddr, UserRange, VirtAddr};
use mm::error::SpaceError;
use mm::space::{FaultError, Protection, Region, RegionFlags, Space};

use super::{Failure, Passed};
use crate::trap::probe::{probe_read, probe_write};

/// What a kernel thread needs to use a region.
pub(super) const KERNEL: Protection = Protection::KERNEL;
/// The same, to write it.
pub(super) const KERNEL_WRITE: Protection = Protection::KERNEL.union(Protection::WRITE);
pub(super) const EAGER: RegionFlags = RegionFlags::EAGER;
pub(super) const LAZY: RegionFlags = RegionFlags::empty();

/// The pages that the checks use, from the second GiB of user space on.
pub(super) fn pages(first: usize, len_pages: usize) -> Result<UserRange, SpaceError> {
    let start = addr::user_start().as_usize() + (1 << 30) + first * PAGE_SIZE;
    UserRange::page_aligned(start, len_pages * PAGE_SIZE)
}

/// Adds anonymous memory.
pub(super) fn add(
    space: &Space,
    range: UserRange,
    protection: Protection,
    flags: RegionFlags,
) -> Result<(), SpaceError> {
    space.add(Region::anonymous(range, protection, flags))
}

/// Fails with `expected` unless it is so.
pub(super) fn check(is_so: bool, expected: &'static str) -> Result<(), Failure> {
    is_so.then_some(()).ok_or(Failure::Not(expected))
}

/// The word that belongs at `address` in the pattern number `seed`: no two are the same.
fn pattern(address: VirtAddr, seed: u64) -> u64 {
    address.as_u64() ^ (seed << 32) ^ 0x5a5a
}

/// The addresses that a pattern is written to: the first and the last word of each page, and one in between.
fn places(range: UserRange) -> impl Iterator<Item = VirtAddr> {
    let in_page = [0, PAGE_SIZE as u64 / 2, PAGE_SIZE as u64 - 8];
    range
        .pages()
        .flat_map(move |page| in_page.map(|offset| VirtAddr::new(page.as_u64() + offset)))
}

/// Writes the pattern `seed` to all of `range`.
pub(super) fn write_pattern(range: UserRange, seed: u64) -> Result<(), Failure> {
    for place in places(range) {
        probe_write(place, pattern(place, seed))?;
    }
    Ok(())
}

/// Checks that `range` holds the pattern `seed`.
pub(super) fn check_pattern(range: UserRange, seed: u64) -> Result<(), Failure> {
    for place in places(range) {
        let is_there = probe_read(place)? == pattern(place, seed);
        check(is_there, "what was written is read")?;
    }
    Ok(())
}

/// Checks that two ranges of the same length hold the same words.
pub(super) fn check_equal(left: UserRange, right: UserRange) -> Result<(), Failure> {
    for (left, right) in places(left).zip(places(right)) {
        let is_same = probe_read(left)? == probe_read(right)?;
        check(is_same, "both maps have the same words")?;
    }
    Ok(())
}

/// Checks that all of `range` is zero.
pub(super) fn check_zero(range: UserRange) -> Result<(), Failure> {
    for place in places(range) {
        check(probe_read(place)? == 0, "the page is zero")?;
    }
    Ok(())
}

/// The physical address of the page at `page`, if it is mapped.
pub(super) fn frame_at(space: &Space, page: VirtAddr) -> Option<PhysAddr> {
    let mut found = None;
    space.walk(page, &mut |at, entry| {
        found = entry.is_leaf(at.level).then(|| entry.pa());
    });
    found
}

/// Fails unless an access was stopped as a fault of the class `expected`.
pub(super) fn stopped<T>(
    access: Result<T, FaultError>,
    expected: FaultError,
) -> Result<Passed, Failure> {
    match access {
        Err(class) if class == expected => Ok(Passed::Stopped(class)),
        Err(class) => Err(Failure::Stopped(class)),
        Ok(_) => Err(Failure::Not("the access is stopped")),
    }
}
