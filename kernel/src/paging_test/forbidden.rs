//! Accesses that must fail. Each is stopped by the processor, and the test says as what.

use mm::addr::VirtAddr;
use mm::space::{FaultError, Protection, RegionFlags, Space};

use super::tools::{
    EAGER, KERNEL, KERNEL_WRITE, LAZY, add, check_pattern, check_zero, pages, stopped,
    write_pattern,
};
use super::{Check, Failure, Passed};
use crate::trap::probe::{probe_execute, probe_read, probe_write};

pub(super) const CHECKS: &[Check] = &[
    Check {
        shows: "reading an undefined address",
        run: |_| stopped(probe_read(undefined()?), FaultError::MissingPage),
    },
    Check {
        shows: "writing an undefined address",
        run: |_| stopped(probe_write(undefined()?, 1), FaultError::MissingPage),
    },
    Check {
        shows: "executing an undefined address",
        run: |_| stopped(run_at(undefined()?), FaultError::MissingPage),
    },
    Check {
        shows: "reading a removed region",
        run: |space| stopped(probe_read(removed(space)?), FaultError::MissingPage),
    },
    Check {
        shows: "writing a removed region",
        run: |space| stopped(probe_write(removed(space)?, 1), FaultError::MissingPage),
    },
    Check {
        shows: "writing a read-only region that was touched",
        run: |space| write_read_only(space, EAGER),
    },
    Check {
        shows: "writing a read-only region that was never touched",
        run: |space| write_read_only(space, LAZY),
    },
    Check {
        shows: "writing a region that has become read-only",
        run: write_what_has_become_read_only,
    },
    Check {
        shows: "executing a region that is not executable",
        run: |space| stopped(run_in(space, KERNEL_WRITE)?, FaultError::Permission),
    },
    Check {
        shows: "executing a region that is",
        run: |space| {
            run_in(space, KERNEL_WRITE | Protection::EXECUTE)??;
            Ok(Passed::Ok)
        },
    },
    Check {
        shows: "the kernel's reading of a user's memory without leave",
        run: |space| stopped(probe_read(users(space)?), FaultError::Privilege),
    },
    Check {
        shows: "the kernel's executing of a user's memory",
        run: |space| stopped(run_at(users(space)?), FaultError::Privilege),
    },
];

/// An address in no region.
fn undefined() -> Result<VirtAddr, Failure> {
    Ok(pages(100, 1)?.start())
}

/// An address in a region that has been touched and then removed.
fn removed(space: &Space) -> Result<VirtAddr, Failure> {
    let range = pages(0, 4)?;
    add(space, range, KERNEL_WRITE, EAGER)?;
    write_pattern(range, 1)?;
    space.remove(range)?;
    Ok(range.start())
}

/// An address in a region of a user.
fn users(space: &Space) -> Result<VirtAddr, Failure> {
    let range = pages(0, 1)?;
    add(space, range, Protection::EXECUTE, EAGER)?;
    Ok(range.start())
}

fn write_read_only(space: &Space, flags: RegionFlags) -> Result<Passed, Failure> {
    let range = pages(0, 1)?;
    add(space, range, KERNEL, flags)?;
    let passed = stopped(probe_write(range.start(), 1), FaultError::Permission)?;
    check_zero(range)?;
    Ok(passed)
}

fn write_what_has_become_read_only(space: &Space) -> Result<Passed, Failure> {
    let range = pages(0, 4)?;
    add(space, range, KERNEL_WRITE, LAZY)?;
    write_pattern(range, 1)?;
    space.protect(range, KERNEL)?;
    let passed = stopped(probe_write(range.start(), 1), FaultError::Permission)?;
    check_pattern(range, 1)?;
    Ok(passed)
}

/// Eight instructions `ret`: a function that does nothing.
const RETURNS: u64 = u64::from_ne_bytes([0xc3; 8]);

/// Writes a function into a region with `protection` and calls it.
fn run_in(space: &Space, protection: Protection) -> Result<Result<(), FaultError>, Failure> {
    let range = pages(0, 1)?;
    add(space, range, protection, LAZY)?;
    probe_write(range.start(), RETURNS)?;
    Ok(run_at(range.start()))
}

/// Calls the function at `address`, which is one that returns at once, if it is there at all.
fn run_at(address: VirtAddr) -> Result<(), FaultError> {
    // SAFETY: in the space of this test, the kernel can fetch code from the region of `run_in` only, which begins with
    // `RETURNS`: no other is executable, but for one that is a user's (SMEP).
    unsafe { probe_execute(address) }
}
