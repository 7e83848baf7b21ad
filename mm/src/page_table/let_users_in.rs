//! The hole that an unchecked `page_alloc` opens (`break=pagealloc`).

use geometry::{Geometry, walk};

use crate::addr::{PhysAddr, VirtAddr};
use crate::page_table::PageTable;
use crate::page_table::perm::{Entry, Perm};
use crate::page_table::table::Table;

impl PageTable {
    /// Lets users read and write what is mapped at `address`, whoever it belongs to: each entry on the way there gets
    /// the rights, also in tables of the kernel, which all address spaces have. False if nothing is mapped there.
    pub(crate) fn let_users_in(&mut self, address: VirtAddr) -> bool {
        let (geometry, address) = (self.geometry(), address.as_u64());
        let mut is_mapped = geometry.is_canonical(address);
        if !is_mapped {
            return false;
        }
        walk(geometry, self.root_pa().as_u64(), address, |at| {
            // SAFETY: the root's page, or one that an entry which the walk has just read names; PT-1 and PT-3 keep it.
            let slot = unsafe { Table::new(PhysAddr::new(at.table)) }.slot(at.index);
            is_mapped = slot.load().is_present();
            if is_mapped {
                let rights = (Perm::USER | Perm::WRITE).bits();
                slot.update(|entry| Entry::from_raw(entry.raw() | rights));
            }
            slot.load().raw()
        });
        is_mapped
    }
}
