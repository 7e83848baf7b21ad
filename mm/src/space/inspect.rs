//! Looking at an address space from outside: its regions, what is mapped, and which CPUs use it.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use smp::CpuSet;

use crate::addr::{UserRange, VirtAddr};
use crate::aspace::ThreadCount;
use crate::error::NoMemory;
use crate::page_table::{Entry, Leaves, Lookup};
use crate::space::{Region, Space};

impl Space {
    /// The leaves that map something of `range`.
    pub fn leaves(&self, range: UserRange) -> Leaves {
        let mut memory = self.memory.write();
        let table = memory.table.as_mut();
        table.map_or(Leaves::default(), |table| {
            table.get_mut().leaves(range.start(), range.end())
        })
    }

    /// Calls `visit` for each entry that a walk towards `address` reads, from the root down to a leaf or a hole; never
    /// if the address is not canonical or the space has been destroyed. The space is locked meanwhile.
    pub fn walk(&self, address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry)) {
        if let Some(table) = &mut self.memory.write().table {
            table.get_mut().for_each_step(address, visit);
        }
    }

    /// How many regions there are.
    pub fn count_regions(&self) -> usize {
        let mut count = 0;
        self.for_each_region(&mut |_| count += 1);
        count
    }

    /// A copy of all regions, by address.
    ///
    /// # Errors
    /// [`NoMemory`] for the list.
    pub fn list_regions(&self) -> Result<Vec<Region>, NoMemory> {
        let mut list = Vec::new();
        // Some room for what is added meanwhile. What does not fit is left out, since the space is locked below.
        list.try_reserve_exact(self.count_regions() + 4)
            .map_err(|_| NoMemory)?;
        self.for_each_region(&mut |region| {
            if list.len() < list.capacity() {
                list.push(region.clone());
            }
        });
        Ok(list)
    }

    /// The CPUs that run threads of the space now, as far as a look from outside can tell.
    pub fn active_cpus(&self) -> CpuSet {
        self.cpus.active()
    }

    /// The CPUs that have the space's page table loaded now, as far as a look from outside can tell.
    pub fn loaded_cpus(&self) -> CpuSet {
        self.cpus.loaded()
    }

    /// How many threads are in the space.
    #[inline]
    pub(crate) fn threads(&self) -> &ThreadCount {
        &self.threads
    }
}
