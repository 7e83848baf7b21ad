//! What there is in an address space, for whoever asks.
#![forbid(unsafe_code)]

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::page_table::{Access, ENTRIES, Entry, Perm, VmIter, VmIterMut};
use crate::space::{Region, Space};

/// What there is at an address.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The region that has it.
    pub region: Region,
    /// What the page table says; `None` if nothing is mapped there yet.
    pub page: Option<MappedPage>,
}

/// A mapping in a page table.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct MappedPage {
    /// 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB.
    pub level: u32,
    /// What it allows now.
    pub perm: Perm,
    /// Whether a page-table page on the way to it is shared with another address space.
    pub is_table_shared: bool,
}

impl MappedPage {
    /// What `entry`, read from `iter`, maps.
    fn at(iter: &VmIter<'_, impl Access>, entry: Entry) -> Option<MappedPage> {
        entry.is_leaf(iter.level()).then(|| MappedPage {
            level: iter.level(),
            perm: iter.effective_perm(entry),
            is_table_shared: iter.is_shared(),
        })
    }

    /// The bytes that it translates: 4 KiB, 2 MiB or 1 GiB.
    pub fn len_bytes(&self) -> u64 {
        (PAGE_SIZE * ENTRIES.pow(self.level - 1)) as u64
    }
}

impl Space {
    /// What there is at `address`; `None` if it is in no region.
    pub fn mapping(&self, address: VirtAddr) -> Option<Mapping> {
        let memory = self.memory.read();
        let region = memory.regions.find(address)?.clone();
        let iter = memory.table.as_ref()?.fault_iter(address);
        let entry = iter.entry();
        if entry.is_claimed() {
            drop(memory);
            return self.mapping_alone(address);
        }
        let page = MappedPage::at(&iter, entry);
        Some(Mapping { region, page })
    }

    /// As `mapping`, when no fault has claimed the page.
    #[cold]
    fn mapping_alone(&self, address: VirtAddr) -> Option<Mapping> {
        let mut memory = self.memory.write();
        let region = memory.regions.find(address)?.clone();
        let iter = VmIterMut::new_mut(memory.table()?, address);
        let page = MappedPage::at(&iter, iter.entry());
        Some(Mapping { region, page })
    }

    /// Calls `function` with each region, by ascending address. The space is locked meanwhile: `function` must not
    /// touch memory of it.
    pub fn for_each_region(&self, function: &mut dyn FnMut(&Region)) {
        self.memory.read().regions.iter().for_each(function);
    }
}
