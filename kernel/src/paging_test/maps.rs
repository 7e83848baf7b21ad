//! Regions that are there at once and regions that come in page by page, with all backings.

use alloc::sync::Arc;

use mm::error::SpaceError;
use mm::space::{Backing, FileBacking, PageSource, Region, SharedPages, Space};

use super::shown::{Shown, shown_memory};
use super::tools::{
    EAGER, KERNEL_WRITE, LAZY, add, check, check_equal, check_pattern, check_zero, pages,
    write_pattern,
};
use super::{Check, Failure, Passed};
use crate::trap::probe::probe_read;

pub(super) const CHECKS: &[Check] = &[
    Check {
        shows: "an eager region is mapped before it is touched",
        run: an_eager_region_is_mapped_at_once,
    },
    Check {
        shows: "a lazy region is mapped page by page when it is touched",
        run: a_lazy_region_is_mapped_when_touched,
    },
    Check {
        shows: "anonymous memory is zero, eager and lazy",
        run: anonymous_memory_is_zero,
    },
    Check {
        shows: "eager and lazy maps compare equal",
        run: eager_and_lazy_maps_compare_equal,
    },
    Check {
        shows: "eager and lazy maps of the same physical memory are the same memory",
        run: physical_memory_is_the_same_in_two_maps,
    },
    Check {
        shows: "eager and lazy maps of shared memory are the same memory",
        run: shared_memory_is_the_same_in_two_maps,
    },
    Check {
        shows: "a large eager region is mapped with large pages",
        run: a_large_eager_region_has_large_pages,
    },
];

fn an_eager_region_is_mapped_at_once(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 16)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    check(space.leaves(range).pages() == 16, "all pages are mapped")?;
    Ok(Passed::Ok)
}

fn a_lazy_region_is_mapped_when_touched(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 16)?;
    add(space, range, KERNEL_WRITE, LAZY)?;
    check(space.leaves(range).pages() == 0, "nothing is mapped")?;
    for page in range.pages().step_by(4) {
        probe_read(page)?;
    }
    let mapped = space.leaves(range).pages();
    check(mapped == 4, "what was touched is mapped, and nothing else")?;
    Ok(Passed::Ok)
}

fn anonymous_memory_is_zero(space: &Space) -> Result<Passed, Failure> {
    let (eager, lazy) = (pages(0, 16)?, pages(32, 16)?);
    add(space, eager, KERNEL_WRITE, EAGER)?;
    add(space, lazy, KERNEL_WRITE, LAZY)?;
    check_zero(eager)?;
    check_zero(lazy)?;
    Ok(Passed::Ok)
}

fn eager_and_lazy_maps_compare_equal(space: &Space) -> Result<Passed, Failure> {
    let (eager, lazy) = (pages(0, 16)?, pages(32, 16)?);
    add(space, eager, KERNEL_WRITE, EAGER)?;
    add(space, lazy, KERNEL_WRITE, LAZY)?;
    check_equal(eager, lazy)?;
    for seed in 1..4 {
        write_pattern(eager, seed)?;
        write_pattern(lazy, seed)?;
        check_pattern(eager, seed)?;
        check_pattern(lazy, seed)?;
    }
    check(
        space.leaves(eager) == space.leaves(lazy),
        "both are mapped alike in the end",
    )?;
    Ok(Passed::Ok)
}

fn physical_memory_is_the_same_in_two_maps(space: &Space) -> Result<Passed, Failure> {
    let memory = shown_memory()?;
    are_the_same_memory(space, Shown::PAGES, || Ok(Backing::Physical(memory)))
}

fn shared_memory_is_the_same_in_two_maps(space: &Space) -> Result<Passed, Failure> {
    let len_pages = 8;
    let memory = SharedPages::new(len_pages as u64).map_err(SpaceError::from)?;
    are_the_same_memory(space, len_pages, || {
        let source: Arc<dyn PageSource> = memory.clone();
        Ok(Backing::File(FileBacking::shared(source, 0)?))
    })
}

/// Maps what `backing` gives twice, and looks whether each map shows what is written through the other.
fn are_the_same_memory(
    space: &Space,
    len_pages: usize,
    backing: impl Fn() -> Result<Backing, SpaceError>,
) -> Result<Passed, Failure> {
    let (eager, lazy) = (pages(0, len_pages)?, pages(64, len_pages)?);
    for (range, flags) in [(eager, EAGER), (lazy, LAZY)] {
        let plain = Region::anonymous(range, KERNEL_WRITE, flags);
        space.add(Region {
            backing: backing()?,
            ..plain
        })?;
    }
    for (seed, (written, seen)) in (1..).zip([(eager, lazy), (lazy, eager)]) {
        write_pattern(written, seed)?;
        check_pattern(written, seed)?;
        check_equal(written, seen)?;
    }
    Ok(Passed::Ok)
}

fn a_large_eager_region_has_large_pages(space: &Space) -> Result<Passed, Failure> {
    // The range begins where a large page can, and is as long as two.
    let range = pages(0, 1024)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    let leaves = space.leaves(range);
    check(leaves.pages() == 1024, "all pages are mapped")?;
    check(leaves.of_level(2) == 2, "with two pages of 2 MiB")?;
    write_pattern(range, 1)?;
    check_pattern(range, 1)?;
    Ok(Passed::Ok)
}
