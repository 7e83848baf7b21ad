//! `base`: the map that was made at boot, in which the kernel's own threads run that have joined no other space.

use core::fmt;

use smp::IrqOff;

use crate::addr::{UserRange, VirtAddr};
use crate::aspace::{AddressSpace, Cpus, Implementation, SpaceRef, Summary, ThreadCount};
use crate::error::SpaceError;
use crate::flush::SpaceId;
use crate::kernel_map;
use crate::page_table::{Entry, Lookup};
use crate::space::{FaultAccess, FaultError, Protection, Region, become_idle};

pub(super) static IMPLEMENTATION: Implementation = Implementation {
    name: "base",
    summary: "the map made at boot: memory one to one, nothing in the user's half; there is one",
    create: || Ok(SpaceRef::Base),
};

/// The one space of this kind. Its threads use the kernel's half only, which is the same in all spaces, so they run on
/// whatever page table their CPU has loaded.
#[derive(Copy, Clone, Debug)]
pub struct Base;

static THREADS: ThreadCount = ThreadCount::new();

impl AddressSpace for Base {
    fn id(&self) -> SpaceId {
        SpaceId::KERNEL
    }

    fn implementation(&self) -> &'static Implementation {
        &IMPLEMENTATION
    }

    fn add_region(&self, _region: Region) -> Result<(), SpaceError> {
        Err(SpaceError::Fixed)
    }

    fn remove_region(&self, _range: UserRange) -> Result<(), SpaceError> {
        Err(SpaceError::Fixed)
    }

    fn move_region(&self, _range: UserRange) -> Result<(), SpaceError> {
        Err(SpaceError::Fixed)
    }

    fn protect_region(&self, _range: UserRange, _protection: Protection) -> Result<(), SpaceError> {
        Err(SpaceError::Fixed)
    }

    /// Keeps what is loaded: this CPU becomes idle in the space of its last thread that had one.
    #[inline]
    fn switch_to(&self, off: &IrqOff) {
        become_idle(off);
    }

    #[inline]
    fn switch_from(&self, _off: &IrqOff) {}

    fn exception(&self, address: VirtAddr, _access: FaultAccess) -> Result<(), FaultError> {
        Err(if address.is_user() {
            FaultError::MissingPage
        } else {
            FaultError::Privilege
        })
    }

    fn add_thread(&self) {
        THREADS.add();
    }

    fn remove_thread(&self) -> bool {
        THREADS.remove();
        false
    }

    /// Does nothing: the kernel's map stays for ever.
    fn destroy(&self) {}

    fn summary(&self) -> Summary {
        let leaves = kernel_map::leaves();
        Summary {
            threads: THREADS.get_racy(),
            regions: 1,
            mapped_pages: leaves.pages(),
        }
    }

    fn cpus(&self) -> Option<Cpus> {
        None
    }

    fn walk(&self, address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry)) {
        kernel_map::walk(address, visit);
    }

    fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let leaves = kernel_map::leaves();
        writeln!(out, "memory and devices one to one, kernel only: {leaves}")
    }
}
