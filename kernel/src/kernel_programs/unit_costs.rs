//! `unitcosts`: what the steps of a fork cost in the kernel, for the program `cost`.
//!
//! Each step is done by itself, outside of any fork. A line on the standard output for each: the step's name, and how
//! many nanoseconds [`PAGES`] of it take. Under `--icount` that is a number of instructions, and the same every time.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use abi::{Errno, STDOUT};
use mm::addr::{PAGE_SIZE, USER_END, VirtAddr};
use mm::error::SpaceError;
use mm::flush::{ActiveCpus, FlushBatch, SpaceId};
use mm::frame::{self, Frame, FrameKind};
use mm::page_table::{Copying, PageTable, Perm, VmIterMut, copy_mappings, copy_mappings_by};
use proc::file::WriteBuffer;
use smp::time;

use super::{FAILED, WRONG_USE};
use crate::device::console::say;

/// Few enough for one page-table page of the lowest level, many enough that what comes only once does not count.
const PAGES: usize = 256;
/// Of so many rounds the best counts.
const ROUNDS: usize = 5;
/// A line is not longer.
const LINE_MAX: usize = 64;

pub(super) fn run(arguments: &str) -> i32 {
    if !arguments.trim().is_empty() {
        say!("usage: unitcosts");
        return WRONG_USE;
    }
    match measure_all() {
        Ok(()) => 0,
        Err(error) => {
            say!("unitcosts: {error}");
            FAILED
        }
    }
}

fn measure_all() -> Result<(), Errno> {
    let allocation = best(|| take(|| Ok(frame::alloc(FrameKind::Anonymous)?)))?;
    let original = frame::alloc_zeroed(FrameKind::Anonymous)?;
    let copy = best(|| take(|| Ok(original.copy(FrameKind::Anonymous)?)))?;
    report("allocate", allocation)?;
    report("copy", copy.saturating_sub(allocation))?;

    report("share", best(|| Tables::new()?.time_sharing())?)?;
    report("map", best(|| Tables::new()?.time_mapping())?)?;
    report("replace", best(|| Tables::new()?.time_replacing())?)
}

/// The least of several times.
fn best(mut measure: impl FnMut() -> Result<u64, Errno>) -> Result<u64, Errno> {
    let mut best_ns = u64::MAX;
    for _ in 0..ROUNDS {
        best_ns = best_ns.min(measure()?);
    }
    Ok(best_ns)
}

/// How long it takes to get frames. Giving them back is not counted.
fn take(one: impl Fn() -> Result<Frame, Errno>) -> Result<u64, Errno> {
    let mut frames = Vec::new();
    frames.try_reserve_exact(PAGES).map_err(|_| Errno::ENOMEM)?;
    let start_ns = time::now_ns();
    for _ in 0..PAGES {
        frames.push(one()?);
    }
    Ok(time::now_ns() - start_ns)
}

/// The page tables of a parent, with pages that can be written, and of a child, with nothing.
struct Tables {
    parent: OwnTable,
    child: OwnTable,
}

impl Tables {
    fn new() -> Result<Tables, Errno> {
        let (mut parent, child) = (OwnTable::new()?, OwnTable::new()?);
        parent.fill()?;
        Ok(Tables { parent, child })
    }

    /// The pages go into the child's table too, and nobody may write them from now on.
    fn time_sharing(&mut self) -> Result<u64, Errno> {
        let (child, parent) = (self.child.table()?, &mut self.parent);
        let mut batch = FlushBatch::new(&parent.cpus);
        let table = parent.table.as_mut().ok_or(Errno::EINVAL)?;
        let start_ns = time::now_ns();
        copy_mappings_by(child, table, &mut batch, |_, _| Copying::ShareUntilWritten)
            .map_err(SpaceError::from)?;
        Ok(time::now_ns() - start_ns)
    }

    /// The pages go into the child's table too, as they are, one after the other.
    fn time_mapping(&mut self) -> Result<u64, Errno> {
        let (child, parent) = (self.child.table()?, self.parent.table()?);
        let start_ns = time::now_ns();
        copy_mappings(child, parent).map_err(SpaceError::from)?;
        Ok(time::now_ns() - start_ns)
    }

    /// Each page in the parent's table gives way to another, which is there already.
    fn time_replacing(&mut self) -> Result<u64, Errno> {
        let mut frames = Vec::new();
        frames.try_reserve_exact(PAGES).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..PAGES {
            frames.push(frame::alloc(FrameKind::Anonymous)?);
        }
        let parent = &mut self.parent;
        let mut batch = FlushBatch::new(&parent.cpus);
        let table = parent.table.as_mut().ok_or(Errno::EINVAL)?;
        let start = table.start();
        let mut replaced = Vec::new();
        replaced
            .try_reserve_exact(PAGES)
            .map_err(|_| Errno::ENOMEM)?;
        let start_ns = time::now_ns();
        let mut pages = VmIterMut::new_mut(table, start);
        while pages.find_mapping(USER_END) {
            if pages.writable()
                && let (Some(old), Some(new)) = (pages.share_frame(), frames.pop())
            {
                replaced.push(old);
                pages.unmap(&mut batch);
                pages
                    .try_map(new, Perm::USER_WRITE, &mut batch)
                    .map_err(SpaceError::from)?;
            }
            pages.next();
        }
        Ok(time::now_ns() - start_ns)
    }
}

/// A page table that no CPU ever loads.
struct OwnTable {
    cpus: ActiveCpus,
    /// `None` only while it is being dropped.
    table: Option<PageTable>,
}

impl OwnTable {
    fn new() -> Result<OwnTable, Errno> {
        let space = SpaceId::fresh();
        Ok(OwnTable {
            cpus: ActiveCpus::new(space),
            table: Some(PageTable::new(space)?),
        })
    }

    fn table(&mut self) -> Result<&mut PageTable, Errno> {
        self.table.as_mut().ok_or(Errno::EINVAL)
    }

    /// Maps fresh pages.
    fn fill(&mut self) -> Result<(), Errno> {
        let mut batch = FlushBatch::new(&self.cpus);
        let table = self.table.as_mut().ok_or(Errno::EINVAL)?;
        let start = table.start().as_u64();
        for page in 0..PAGES {
            let frame = frame::alloc_zeroed(FrameKind::Anonymous)?;
            let va = VirtAddr::new(start + (page * PAGE_SIZE) as u64);
            VmIterMut::new_mut(table, va)
                .try_map(frame, Perm::USER_WRITE, &mut batch)
                .map_err(SpaceError::from)?;
        }
        Ok(())
    }
}

impl Drop for OwnTable {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.retire(&mut FlushBatch::new(&self.cpus));
        }
    }
}

fn report(step: &str, time_ns: u64) -> Result<(), Errno> {
    let mut line = String::new();
    line.try_reserve(LINE_MAX).map_err(|_| Errno::ENOMEM)?;
    writeln!(line, "{step} {time_ns}").map_err(|_| Errno::EIO)?;
    let current = proc::sched::current();
    let process = current.process().ok_or(Errno::EINVAL)?;
    let bytes = WriteBuffer::Kernel(line.as_bytes());
    process.descriptors.write(STDOUT, bytes).map(drop)
}
