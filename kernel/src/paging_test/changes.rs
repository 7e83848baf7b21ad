//! Regions that are removed, added again, moved and given other rights.

use mm::error::SpaceError;
use mm::space::{FaultError, Space};

use super::tools::{
    EAGER, KERNEL, KERNEL_WRITE, LAZY, add, check, check_pattern, check_zero, frame_at, pages,
    stopped, write_pattern,
};
use super::{Check, Failure, Passed};
use crate::trap::probe::{probe_read, probe_write};

pub(super) const CHECKS: &[Check] = &[
    Check {
        shows: "a region that is removed and added again is zero",
        run: removed_and_added_again_is_zero,
    },
    Check {
        shows: "removing the middle of a region leaves both sides",
        run: removing_the_middle_leaves_both_sides,
    },
    Check {
        shows: "moved pages keep their contents in other frames",
        run: moved_pages_keep_their_contents,
    },
    Check {
        shows: "a part of a large page can be moved, protected and removed",
        run: a_part_of_a_large_page_can_be_changed,
    },
    Check {
        shows: "what was read-only can be written once it is protected otherwise",
        run: protect_then_write,
    },
];

fn removed_and_added_again_is_zero(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 8)?;
    for flags in [EAGER, LAZY, EAGER] {
        add(space, range, KERNEL_WRITE, flags)?;
        check_zero(range)?;
        write_pattern(range, 1)?;
        space.remove(range)?;
    }
    check(space.leaves(range).pages() == 0, "nothing is mapped")?;
    Ok(Passed::Ok)
}

fn removing_the_middle_leaves_both_sides(space: &Space) -> Result<Passed, Failure> {
    add(space, pages(0, 12)?, KERNEL_WRITE, LAZY)?;
    write_pattern(pages(0, 12)?, 1)?;
    let middle = pages(4, 4)?;
    space.remove(middle)?;
    check(space.count_regions() == 2, "there are two regions")?;
    stopped(probe_read(middle.start()), FaultError::MissingPage)?;
    check_pattern(pages(0, 4)?, 1)?;
    check_pattern(pages(8, 4)?, 1)?;
    Ok(Passed::Ok)
}

fn moved_pages_keep_their_contents(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 8)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    write_pattern(range, 1)?;
    let mut before = [None; 8];
    for (place, page) in before.iter_mut().zip(range.pages()) {
        *place = frame_at(space, page);
    }
    space.move_frames(range)?;
    for (before, page) in before.iter().zip(range.pages()) {
        let now = frame_at(space, page);
        check(
            now.is_some() && now != *before,
            "each page has another frame",
        )?;
    }
    check_pattern(range, 1)?;
    write_pattern(range, 2)?;
    check_pattern(range, 2)?;
    Ok(Passed::Ok)
}

fn a_part_of_a_large_page_can_be_changed(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 512)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    write_pattern(range, 1)?;
    space.move_frames(pages(10, 2)?)?;
    space.protect(pages(20, 2)?, KERNEL)?;
    check_pattern(range, 1)?;
    let read_only = pages(20, 1)?.start();
    stopped(probe_write(read_only, 0), FaultError::Permission)?;
    space.remove(pages(30, 2)?)?;
    stopped(probe_read(pages(31, 1)?.start()), FaultError::MissingPage)?;
    check_pattern(pages(0, 30)?, 1)?;
    check_pattern(pages(32, 480)?, 1)?;
    check(space.leaves(range).pages() == 510, "the rest is mapped")?;
    Ok(Passed::Ok)
}

fn protect_then_write(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 4)?;
    for flags in [EAGER, LAZY] {
        add(space, range, KERNEL, flags)?;
        let place = range.start();
        probe_read(place)?;
        stopped(probe_write(place, 1), FaultError::Permission)?;
        space.protect(range, KERNEL_WRITE)?;
        write_pattern(range, 1)?;
        space.protect(range, KERNEL)?;
        stopped(probe_write(place, 1), FaultError::Permission)?;
        check_pattern(range, 1)?;
        let users_in = space.protect(range, KERNEL_WRITE - KERNEL);
        let is_refused = users_in == Err(SpaceError::KernelOnly);
        check(is_refused, "what was the kernel's stays so")?;
        space.remove(range)?;
    }
    Ok(Passed::Ok)
}
