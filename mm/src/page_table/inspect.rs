//! Looking at a page table: the way that a walk takes, and how much is mapped with pages of which size.

use core::fmt;

use geometry::{Geometry, Lookup, X86, walk};

use crate::addr::{PhysAddr, VirtAddr};
use crate::page_table::perm::Entry;
use crate::page_table::table::Table;
use crate::page_table::vm_iter::VmIter;
use crate::page_table::{ENTRIES, PageTable};

/// How many leaves there are of each size.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct Leaves {
    /// By level, less one: pages of 4 KiB, 2 MiB and 1 GiB.
    by_level: [usize; X86::HIGHEST_LEAF_LEVEL as usize],
    /// How many of them are in tables that a fork has shared and nobody has made private since (PT-4).
    in_shared_tables: usize,
}

impl Leaves {
    /// How many there are of this level: 1 for pages of 4 KiB, 2 for 2 MiB, 3 for 1 GiB.
    pub fn of_level(self, level: u32) -> usize {
        let index = level.wrapping_sub(1) as usize;
        self.by_level.get(index).copied().unwrap_or(0)
    }

    /// How many pages of 4 KiB they cover.
    pub fn pages(self) -> usize {
        let [small, big, huge] = self.by_level;
        small + ENTRIES * (big + ENTRIES * huge)
    }

    /// How many of them, of any size, are in tables that a fork has shared and nobody has made private since.
    pub fn in_shared_tables(self) -> usize {
        self.in_shared_tables
    }

    fn add(&mut self, level: u32, is_shared: bool) {
        if let Some(count) = self.by_level.get_mut(level as usize - 1) {
            *count += 1;
        }
        self.in_shared_tables += usize::from(is_shared);
    }
}

/// As `2 x 2M, 5 x 4K (4 in shared tables)`, or `nothing`.
impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (size, &count) in ["4K", "2M", "1G"].iter().zip(&self.by_level).rev() {
            if count > 0 {
                write!(f, "{separator}{count} x {size}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            f.write_str("nothing")?;
        }
        match self.in_shared_tables {
            0 => Ok(()),
            count => write!(f, " ({count} in shared tables)"),
        }
    }
}

impl PageTable {
    /// The leaves that map something of `[start, end)`.
    pub(crate) fn leaves(&self, start: VirtAddr, end: VirtAddr) -> Leaves {
        let mut leaves = Leaves::default();
        let mut iter = VmIter::new(self, start);
        while iter.find_mapping(end) {
            leaves.add(iter.level(), iter.is_shared());
            iter.next();
        }
        leaves
    }

    /// Calls `visit` for each entry that a walk towards `address` reads, from the root down to a leaf or a hole; never
    /// if the address is not canonical.
    pub(crate) fn for_each_step(&self, address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry)) {
        let (geometry, address) = (self.geometry(), address.as_u64());
        if !geometry.is_canonical(address) {
            return;
        }
        walk(geometry, self.root_pa().as_u64(), address, |at| {
            // SAFETY: the root's page, or one that an entry which the walk has just read names; PT-1 and PT-3 keep it.
            let table = unsafe { Table::new(PhysAddr::new(at.table)) };
            let entry = table.slot(at.index).load();
            visit(at, entry);
            entry.raw()
        });
    }
}
