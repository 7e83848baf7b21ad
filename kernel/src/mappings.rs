//! Where three things lie and who may use them: the kernel's entry point, its page table, and a program's entry.
//!
//! That is exercise B of the WeensyOS section: the same three addresses before a process is set up, by the kernel's own
//! page table, and afterwards, by the process's.

use core::fmt;

use mm::addr::{PAGE_SIZE, VirtAddr};
use mm::kernel_map;
use mm::page_table::{ENTRIES, Entry, Lookup, Perm};
use mm::space::Space;
use proc::elf_image::ElfImage;
use proc::file;
use proc::process::Process;

use crate::trap::stubs;

/// What leads a walk towards an address: see `walk` of [`kernel_map`] and of [`Space`].
type Walk<'a> = &'a dyn Fn(VirtAddr, &mut dyn FnMut(Lookup, Entry));

/// An address, and what a page table says about it.
pub(crate) struct Row {
    what: &'static str,
    address: VirtAddr,
    found: Option<Found>,
}

/// A mapping: where it leads, and what all levels allow.
struct Found {
    pa: u64,
    perm: Perm,
}

/// What the kernel's own page table says, with the entry of the program `name` if there is one.
pub(crate) fn by_kernel(name: &str) -> [Option<Row>; 3] {
    rows(name, &|address, visit| kernel_map::walk(address, visit))
}

/// What the page table of `space` says, where the program `name` runs.
pub(crate) fn by_process(space: &Space, name: &str) -> [Option<Row>; 3] {
    rows(name, &|address, visit| space.walk(address, visit))
}

/// Writes what the kernel's page table and that of `process` say into the log.
pub(crate) fn log(process: &Process) {
    let name = process.name().as_str();
    for row in by_kernel(name).iter().flatten() {
        smp::log!("mappings before set-up of {name}: {row}");
    }
    let Some(space) = process.space() else { return };
    for row in by_process(space, name).iter().flatten() {
        smp::log!("mappings after set-up of {name}: {row}");
    }
}

fn rows(name: &str, walk: Walk<'_>) -> [Option<Row>; 3] {
    let entry_point = stubs::system_call_entry as *const () as u64;
    let root = kernel_map::root_pa().map(|root| VirtAddr::new(root.as_u64()));
    [
        Some(("kernel entry point", VirtAddr::new(entry_point))),
        root.map(|root| ("kernel page table", root)),
        program_entry(name).map(|entry| ("program's entry", entry)),
    ]
    .map(|place| {
        place.map(|(what, address)| Row {
            what,
            address,
            found: look(address, walk),
        })
    })
}

/// Where the program in the file `name` begins.
fn program_entry(name: &str) -> Option<VirtAddr> {
    let file = file::find_regular(name.as_bytes()).ok()?;
    Some(ElfImage::parse(&*file).ok()?.entry())
}

fn look(address: VirtAddr, walk: Walk<'_>) -> Option<Found> {
    let mut perm = Perm::WRITE | Perm::USER;
    let mut found = None;
    walk(address, &mut |at, entry| {
        // A level allows what it says, and only if those above do; it forbids execution for all below.
        let denied = perm & Perm::NO_EXECUTE;
        perm = (perm & entry.perm()) | denied | (entry.perm() & Perm::NO_EXECUTE);
        if entry.is_leaf(at.level) {
            let span = (PAGE_SIZE * ENTRIES.pow(at.level - 1)) as u64;
            let pa = entry.pa().as_u64() + address.as_u64() % span;
            found = Some(Found { pa, perm });
        }
    });
    found
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:18} {:#018x} ", self.what, self.address)?;
        match &self.found {
            Some(found) => write!(f, "-> {:#012x} {}", found.pa, Rights(found.perm)),
            None => f.write_str("-> nothing"),
        }
    }
}

/// As in `rwxk`, with a dash for what is not there; `k` is for the kernel only.
struct Rights(Perm);

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("r")?;
        for (is_there, letter) in [
            (self.0.contains(Perm::WRITE), "w"),
            (!self.0.contains(Perm::NO_EXECUTE), "x"),
            (!self.0.contains(Perm::USER), "k"),
        ] {
            f.write_str(if is_there { letter } else { "-" })?;
        }
        Ok(())
    }
}
