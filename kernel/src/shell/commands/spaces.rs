//! Commands about address spaces.

use alloc::sync::Arc;
use core::fmt;
use core::ops::ControlFlow;

use mm::addr::VirtAddr;
use mm::aspace::{Cpus, IMPLEMENTATIONS};
use mm::page_table::{Entry, Lookup, Perm};
use proc::process::Process;
use proc::spaces::{self, LiveSpace};
use smp::{CpuId, CpuSet};

use super::{GO_ON, process_named};
use crate::device::console;
use crate::device::console::say;
use crate::mappings;

pub(super) fn asis(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    for implementation in IMPLEMENTATIONS {
        say!("{:9} {}", implementation.name, implementation.summary);
    }
    GO_ON
}

pub(super) fn ases(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    let Ok(spaces) = spaces::list() else {
        say!("ases: no memory for the list");
        return GO_ON;
    };
    say!(
        "{:>6} {:9} {:>7} {:>7} {:>8} {:>6} {:12}  ACTIVE/LOADED ON",
        "SPACE",
        "KIND",
        "THREADS",
        "REGIONS",
        "PAGES",
        "PID",
        "NAME"
    );
    let elsewhere = cpus_elsewhere(&spaces);
    for LiveSpace { space, pid, name } in &spaces {
        let space = space.as_dyn();
        let summary = space.summary();
        let cpus = space.cpus().unwrap_or(elsewhere);
        say!(
            "{:>6} {:9} {:>7} {:>7} {:>8} {pid:>6} {name:12}  {}/{}",
            space.id(),
            space.implementation().name,
            summary.threads,
            summary.regions,
            summary.mapped_pages,
            Runs(cpus.active),
            Runs(cpus.loaded)
        );
    }
    GO_ON
}

/// The CPUs that are in none of the spaces that keep theirs.
fn cpus_elsewhere(spaces: &[LiveSpace]) -> Cpus {
    let (mut active, mut loaded) = (CpuSet::all(), CpuSet::all());
    for cpus in spaces.iter().filter_map(|live| live.space.as_dyn().cpus()) {
        for cpu in cpus.active.iter() {
            active.remove(cpu);
        }
        for cpu in cpus.loaded.iter() {
            loaded.remove(cpu);
        }
    }
    Cpus { active, loaded }
}

/// CPUs as `0-2,5`, or `-` if there are none.
struct Runs(CpuSet);

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.0.iter().map(CpuId::index).peekable();
        if cpus.peek().is_none() {
            return f.write_str("-");
        }
        let mut separator = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

pub(super) fn regions(_: &Arc<Process>, word: &str) -> ControlFlow<i32> {
    let Some(process) = process_named("regions", word) else {
        return GO_ON;
    };
    let space = process.any_space().clone();
    // Printing may take a while, and whoever buries the process waits for references to it.
    drop(process);
    if space.as_dyn().print(&mut console::lines()).is_err() {
        say!("regions: no memory for the list");
    }
    GO_ON
}

pub(super) fn walk(_: &Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (pid, address) = line.split_once(' ').unwrap_or((line, ""));
    let Some(process) = process_named("walk", pid) else {
        return GO_ON;
    };
    let space = process.any_space().clone();
    drop(process);
    let Some(address) = parse_address(address.trim()) else {
        say!("walk: '{address}': not an address such as 0xffff800000001000");
        return GO_ON;
    };
    let mut steps = [None; MOST_LEVELS];
    let mut places = steps.iter_mut();
    space
        .as_dyn()
        .walk(VirtAddr::new(address), &mut |at, entry| {
            if let Some(place) = places.next() {
                *place = Some((at, entry));
            }
        });
    for (at, entry) in steps.iter().flatten() {
        say_step(at, *entry);
    }
    if steps[0].is_none() {
        say!("walk: {address:#x}: no page table leads there");
    }
    GO_ON
}

pub(super) fn mappings(_: &Arc<Process>, word: &str) -> ControlFlow<i32> {
    let pid = if word.is_empty() { "1" } else { word };
    let Some(process) = process_named("mappings", pid) else {
        return GO_ON;
    };
    let (name, space) = (*process.name(), process.space().cloned());
    drop(process);
    let Some(space) = space else {
        say!("mappings: {pid}: it runs no program");
        return GO_ON;
    };
    say!("In the kernel's own page table:");
    for row in mappings::by_kernel(name.as_str()).iter().flatten() {
        say!("  {row}");
    }
    say!("In that of process {pid}, {name}:");
    for row in mappings::by_process(&space, name.as_str()).iter().flatten() {
        say!("  {row}");
    }
    GO_ON
}

/// Levels of page tables, at most.
const MOST_LEVELS: usize = 5;

/// What one entry says: `level 2, entry 5 of the table at 0x1234000: 0x1235027 -> table 0x1235000 PRESENT WRITE USER`.
fn say_step(at: &Lookup, entry: Entry) {
    let Lookup {
        table,
        level,
        index,
    } = at;
    let raw = entry.raw();
    let (pa, flags) = (entry.pa(), Flags(entry.perm()));
    let kind = match () {
        () if entry.is_leaf(*level) => "page",
        // PT-4: only its own tables can be written through.
        () if entry.is_table(*level) && !entry.perm().contains(Perm::WRITE) => "shared table",
        () if entry.is_table(*level) => "table",
        () => {
            say!("level {level} {table:#012x} [{index:>3}] {raw:#018x}  nothing");
            return;
        }
    };
    say!("level {level} {table:#012x} [{index:>3}] {raw:#018x}  {kind} {pa:#012x}{flags}");
}

/// The names of an entry's flags.
struct Flags(Perm);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter_names()
            .try_for_each(|(name, _)| write!(f, " {name}"))
    }
}

/// A number as people write addresses: hexadecimal with `0x`, or decimal.
fn parse_address(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}
