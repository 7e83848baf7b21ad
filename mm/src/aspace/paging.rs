//! `paging`: [`Space`] as an address space among others.

use core::fmt;

use smp::IrqOff;

use crate::addr::{UserRange, VirtAddr};
use crate::aspace::{AddressSpace, Cpus, Implementation, SpaceRef, Summary};
use crate::error::SpaceError;
use crate::flush::SpaceId;
use crate::page_table::{Entry, Lookup};
use crate::space::{FaultAccess, FaultError, Protection, Region, Space, activate, become_idle};

pub(super) static IMPLEMENTATION: Implementation = Implementation {
    name: "paging",
    summary: "regions, and a page table that is filled on demand",
    create: || Ok(SpaceRef::Paging(Space::new()?)),
};

impl AddressSpace for Space {
    fn id(&self) -> SpaceId {
        Space::id(self)
    }

    fn implementation(&self) -> &'static Implementation {
        &IMPLEMENTATION
    }

    fn add_region(&self, region: Region) -> Result<(), SpaceError> {
        self.add(region)
    }

    fn remove_region(&self, range: UserRange) -> Result<(), SpaceError> {
        self.remove(range)
    }

    fn move_region(&self, range: UserRange) -> Result<(), SpaceError> {
        self.move_frames(range)
    }

    fn protect_region(&self, range: UserRange, protection: Protection) -> Result<(), SpaceError> {
        self.protect(range, protection)
    }

    #[inline]
    fn switch_to(&self, off: &IrqOff) {
        activate(self, off);
    }

    /// Keeps the page table, since loading one costs more than anything else in a switch.
    #[inline]
    fn switch_from(&self, off: &IrqOff) {
        become_idle(off);
    }

    #[inline]
    fn exception(&self, address: VirtAddr, access: FaultAccess) -> Result<(), FaultError> {
        self.fault(address, access)
    }

    #[inline]
    fn add_thread(&self) {
        self.threads().add();
    }

    #[inline]
    fn remove_thread(&self) -> bool {
        self.threads().remove()
    }

    fn destroy(&self) {
        Space::destroy(self);
    }

    fn summary(&self) -> Summary {
        Summary {
            threads: self.threads().get_racy(),
            regions: self.count_regions(),
            mapped_pages: self.leaves(UserRange::all()).pages(),
        }
    }

    fn cpus(&self) -> Option<Cpus> {
        Some(Cpus {
            active: self.active_cpus(),
            loaded: self.loaded_cpus(),
        })
    }

    fn walk(&self, address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry)) {
        Space::walk(self, address, visit);
    }

    fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for region in self.list_regions().map_err(|_| fmt::Error)? {
            let leaves = self.leaves(region.range);
            writeln!(out, "{region}: {leaves}")?;
        }
        Ok(())
    }
}
