//! What every address space can do, whatever it is made of, and which implementations there are.
//!
//! An address space says what a thread's addresses mean. The kernel has two implementations: [`Base`], the map that was
//! made at boot and never changes, and [`Space`](crate::space::Space), with regions and a page table of its own, which
//! is called `paging`. Each has a line in [`IMPLEMENTATIONS`], by whose name [`create`] finds it; one more needs a line
//! there.
//!
//! A thread is in one space. It joins its creator's, unless it is told another one, and leaves it when it ends; the
//! space counts its threads, and with the last one goes what it has. The scheduler and the page-fault handler come here
//! all the time, so a thread's reference to its space ([`SpaceRef`]) says which implementation it is, and calls that
//! directly. Whoever only looks takes any of them as `&dyn AddressSpace`.
#![forbid(unsafe_code)]

mod base;
mod paging;
mod space_ref;
#[cfg(test)]
mod tests;
mod threads;

use core::fmt;

use smp::{CpuSet, IrqOff};

use crate::addr::{UserRange, VirtAddr};
use crate::error::{NoMemory, SpaceError};
use crate::flush::SpaceId;
use crate::page_table::{Entry, Lookup};
use crate::space::{FaultAccess, FaultError, Protection, Region};

pub use base::Base;
pub use space_ref::SpaceRef;
pub(crate) use threads::ThreadCount;

/// What an implementation of address spaces can do.
pub trait AddressSpace: Send + Sync {
    /// The space's number, which no other space ever has.
    fn id(&self) -> SpaceId;

    /// Which implementation it is of.
    fn implementation(&self) -> &'static Implementation;

    /// Adds a region.
    ///
    /// # Errors
    /// `Overlap`, `NoMemory`, and so on: see [`crate::space::Space::add`]. `Fixed` if the space's regions cannot be
    /// changed. Nothing has changed then.
    fn add_region(&self, region: Region) -> Result<(), SpaceError>;

    /// Removes whatever regions, or parts of them, lie in `range`.
    ///
    /// # Errors
    /// As [`AddressSpace::add_region`]; `Pinned`.
    fn remove_region(&self, range: UserRange) -> Result<(), SpaceError>;

    /// Puts the contents of `range` into other frames, which the kernel chooses.
    ///
    /// # Errors
    /// As [`AddressSpace::add_region`]; `Pinned`, `NotMapped`.
    fn move_region(&self, range: UserRange) -> Result<(), SpaceError>;

    /// Gives all of `range` other rights.
    ///
    /// # Errors
    /// As [`AddressSpace::add_region`]; `NotMapped`, `KernelOnly`.
    fn protect_region(&self, range: UserRange, protection: Protection) -> Result<(), SpaceError>;

    /// This CPU goes on to run a thread of the space.
    fn switch_to(&self, off: &IrqOff);

    /// This CPU has run a thread of the space, and goes on to run one that needs no space of its own. It is not called
    /// between two spaces: who comes in sends the other out.
    fn switch_from(&self, off: &IrqOff);

    /// Repairs the fault that an access to `address` by a thread of the space has caused, so that it can be tried
    /// again.
    ///
    /// # Errors
    /// [`FaultError`]: it cannot be repaired, and the thread must not go on.
    fn exception(&self, address: VirtAddr, access: FaultAccess) -> Result<(), FaultError>;

    /// A thread joins the space.
    fn add_thread(&self);

    /// A thread leaves the space. True for the last one, which then has to destroy it; never true for a space that
    /// stays.
    fn remove_thread(&self) -> bool;

    /// Gives back all that the space has. CPUs that still have it loaded leave it.
    fn destroy(&self);

    /// What there is of it now.
    fn summary(&self) -> Summary;

    /// Which CPUs use the space; `None` if that is not kept, because it is what the CPUs use that are in no other.
    fn cpus(&self) -> Option<Cpus>;

    /// Calls `visit` for each entry that a walk through the page table towards `address` reads, from the root down. It
    /// reads none if the address is not canonical, or if the space has been destroyed.
    fn walk(&self, address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry));

    /// Writes a line for each region: where, what may be done there, where its contents come from, and how much of it
    /// is mapped with pages of which size.
    ///
    /// # Errors
    /// Those of `out`, and one if there is no memory for the list.
    fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// How much there is of a space.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct Summary {
    /// How many threads are in it.
    pub threads: usize,
    /// How many regions it has.
    pub regions: usize,
    /// How many pages of 4 KiB are mapped, big ones counted as what they cover.
    pub mapped_pages: usize,
}

/// Which CPUs use a space.
#[derive(Copy, Clone, Debug)]
pub struct Cpus {
    /// Those that run its threads.
    pub active: CpuSet,
    /// Those that have its page table loaded; the ones that are not active idle in it.
    pub loaded: CpuSet,
}

/// A way to make address spaces.
#[derive(Debug)]
pub struct Implementation {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    create: fn() -> Result<SpaceRef, NoMemory>,
}

/// All implementations.
pub static IMPLEMENTATIONS: [&Implementation; 2] = [&base::IMPLEMENTATION, &paging::IMPLEMENTATION];

/// Why [`create`] has made no space.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum CreateError {
    /// No implementation has this name.
    NoSuchImplementation,
    /// There is no memory for a space.
    NoMemory,
}

/// A space of the implementation that is called `name`.
///
/// # Errors
/// [`CreateError`].
pub fn create(name: &str) -> Result<SpaceRef, CreateError> {
    let implementation = IMPLEMENTATIONS
        .iter()
        .find(|implementation| implementation.name == name)
        .ok_or(CreateError::NoSuchImplementation)?;
    (implementation.create)().map_err(|NoMemory| CreateError::NoMemory)
}
