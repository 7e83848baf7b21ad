//! Operations that are refused, each for its own reason, and change nothing.

use mm::addr::{PAGE_SIZE, USER_END, UserRange};
use mm::error::SpaceError;
use mm::space::{Backing, Protection, Region, Space};

use super::shown::{Shown, shown_memory};
use super::tools::{EAGER, KERNEL_WRITE, LAZY, add, check, check_pattern, pages, write_pattern};
use super::{Check, Failure, Passed};

pub(super) const CHECKS: &[Check] = &[
    Check {
        shows: "a region that overlaps another is refused",
        run: overlaps_are_refused,
    },
    Check {
        shows: "ranges that are unaligned, empty, wrapping or the kernel's are refused",
        run: ranges_that_are_none_are_refused,
    },
    Check {
        shows: "physical memory is refused to users",
        run: physical_memory_is_refused_to_users,
    },
    Check {
        shows: "changing what is in no region is refused",
        run: changing_nothing_is_refused,
    },
    Check {
        shows: "a pinned region is neither removed nor moved, and both once it is unpinned",
        run: pinned_regions_stay,
    },
];

/// Fails unless an operation was refused for the reason `expected`.
fn refused(operation: Result<(), SpaceError>, expected: SpaceError) -> Result<(), Failure> {
    match operation {
        Err(reason) if reason == expected => Ok(()),
        Err(reason) => Err(Failure::Refused(reason)),
        Ok(()) => Err(Failure::Not("the operation is refused")),
    }
}

fn overlaps_are_refused(space: &Space) -> Result<Passed, Failure> {
    let range = pages(8, 8)?;
    add(space, range, KERNEL_WRITE, LAZY)?;
    write_pattern(range, 1)?;
    // Its start, its end, inside of it, around it, and exactly it.
    for (first, len_pages) in [(4, 5), (15, 4), (10, 2), (0, 32), (8, 8)] {
        for flags in [EAGER, LAZY] {
            let overlapping = add(space, pages(first, len_pages)?, KERNEL_WRITE, flags);
            refused(overlapping, SpaceError::Overlap)?;
        }
    }
    check_pattern(range, 1)?;
    // Beside it is not over it.
    add(space, pages(4, 4)?, KERNEL_WRITE, EAGER)?;
    add(space, pages(16, 4)?, KERNEL_WRITE, EAGER)?;
    check_pattern(range, 1)?;
    Ok(Passed::Ok)
}

fn ranges_that_are_none_are_refused(_: &Space) -> Result<Passed, Failure> {
    let start = pages(0, 1)?.start().as_usize();
    let end = USER_END.as_usize();
    for (start, len_bytes, expected) in [
        (start + 8, PAGE_SIZE, SpaceError::Unaligned),
        (start, PAGE_SIZE / 2, SpaceError::Unaligned),
        (start, 0, SpaceError::Empty),
        (end - PAGE_SIZE, 3 * PAGE_SIZE, SpaceError::Wraps),
        (0x20_0000, PAGE_SIZE, SpaceError::KernelHalf),
    ] {
        let made = UserRange::page_aligned(start, len_bytes).map(|_| ());
        refused(made, expected)?;
    }
    Ok(Passed::Ok)
}

fn physical_memory_is_refused_to_users(space: &Space) -> Result<Passed, Failure> {
    let users = Region::anonymous(pages(0, Shown::PAGES)?, Protection::WRITE, LAZY);
    let backing = Backing::Physical(shown_memory()?);
    let added = space.add(Region { backing, ..users });
    refused(added, SpaceError::KernelOnly)?;
    Ok(Passed::Ok)
}

fn changing_nothing_is_refused(space: &Space) -> Result<Passed, Failure> {
    add(space, pages(0, 4)?, KERNEL_WRITE, EAGER)?;
    // One page too many.
    let range = pages(0, 5)?;
    refused(space.move_frames(range), SpaceError::NotMapped)?;
    refused(space.protect(range, KERNEL_WRITE), SpaceError::NotMapped)?;
    refused(space.set_pinned(range, true), SpaceError::NotMapped)?;
    Ok(Passed::Ok)
}

fn pinned_regions_stay(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 8)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    write_pattern(range, 1)?;
    space.set_pinned(pages(2, 2)?, true)?;
    for part in [range, pages(3, 4)?] {
        refused(space.remove(part), SpaceError::Pinned)?;
        refused(space.move_frames(part), SpaceError::Pinned)?;
    }
    check_pattern(range, 1)?;
    space.move_frames(pages(4, 4)?)?;
    space.set_pinned(range, false)?;
    space.move_frames(range)?;
    check_pattern(range, 1)?;
    space.remove(range)?;
    check(space.count_regions() == 0, "the region is gone")?;
    Ok(Passed::Ok)
}
