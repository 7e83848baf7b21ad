//! Page tables: what maps virtual addresses to frames, and the two iterators that are the way in.
//!
//! A [`PageTable`] is a tree of page-table pages of which the processor needs to know the root only. Its lower half is
//! the kernel's, the same in all tables, and was fixed at boot; the upper half is the user's, and belongs to the table.
//!
//! - [`VmIter`] goes through a virtual address space by address, and says what is mapped where. [`VmIterMut`] has the
//!   table to itself and changes that.
//! - [`PtIter`] goes through the page-table pages.
//! - [`copy_mappings`] is written with them: the eager `fork`. The usual one shares page-table pages: `share_tables`.
//! - `PageTable::unmap_range` and its kin change whole ranges, and [`free_everything`] takes everything down.
//!
//! Other CPUs use a table while it changes: the processor keeps translations, and no change to memory makes it forget
//! them. So whatever takes something away from a table takes a [`FlushBatch`], which sees to that, and which owns what
//! was taken away until then.

mod big_copy;
mod big_leaf;
mod claim;
mod copy;
mod empty_tables;
mod free;
mod inspect;
mod kernel_entries;
mod leaf;
mod let_users_in;
mod merge;
mod perm;
mod physical;
mod private;
mod pt_iter;
mod range;
mod share;
mod table;
mod usage;
mod vm_fill;
mod vm_iter;
mod vm_iter_mut;
mod vm_search;
mod whole_tables;

#[cfg(test)]
mod tests;

use core::mem::ManuallyDrop;

use crate::addr::{PAGE_SIZE, PhysAddr, USER_END, VirtAddr};
use crate::error::NoMemory;
use crate::flush::{FlushBatch, Kernel, SpaceId, limbo};
use crate::frame::{self, Frame, FrameKind};
use crate::kernel_map;
use empty_tables::Emptied;
use table::Table;
use usage::Usage;

pub use big_leaf::highest_leaf_level;
pub(crate) use big_leaf::{order_of, set_highest_leaf_level};
pub(crate) use claim::FaultTable;
pub use claim::{Claim, ClaimedFrame};
pub use copy::{Copying, copy_mappings, copy_mappings_by};
pub(crate) use free::drop_table;
pub use free::free_everything;
pub use geometry::{Decoded, ENTRIES, Geometry, Lookup, Stop, X86, virtual_to_physical, walk};
pub use inspect::Leaves;
pub(crate) use kernel_entries::KernelEntries;
pub(crate) use leaf::Leaf;
pub use perm::{Entry, Perm};
pub use physical::PhysicalRange;
pub use pt_iter::{PtIter, PtIterMut};
pub(crate) use share::share_tables;
pub use table::Slot;
pub use vm_iter::{Access, Exclusive, Faulting, Shared, VmIter, VmIterMut};

/// The owner of a page table: of its root, and by that of everything that is mapped in its half of the address space.
///
/// Give it back with [`PageTable::retire`]. Just dropping one leaks it, since a processor may still be using it; debug
/// builds panic.
#[must_use = "a page table that is not retired leaks"]
pub struct PageTable {
    root: ManuallyDrop<Frame>,
    geometry: X86,
    space: SpaceId,
    /// The addresses that this table may map: `[start, start + len_bytes)`.
    start: u64,
    len_bytes: u64,
    emptied: Emptied,
}

impl PageTable {
    /// A table for the address space `space`, with the kernel's half as at boot and nothing in the user's.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(space: SpaceId) -> Result<PageTable, NoMemory> {
        let kernel = kernel_map::entries();
        let table = PageTable::empty(space, kernel.geometry())?;
        kernel.copy_to(&table);
        Ok(table)
    }

    /// A table of the user's half, without the kernel's.
    fn empty(space: SpaceId, geometry: X86) -> Result<PageTable, NoMemory> {
        let root = ManuallyDrop::new(new_table_page(geometry.levels())?);
        let start = geometry.upper_half();
        Ok(PageTable {
            root,
            geometry,
            space,
            start,
            len_bytes: USER_END.as_u64() - start,
            emptied: Emptied::NONE,
        })
    }

    /// The kernel's own table, of the lower half, with nothing in it; `root` is a page of zeros.
    pub(crate) fn of_kernel(root: Frame, geometry: X86) -> PageTable {
        Usage::reset(root.word(), geometry.levels());
        let start = PAGE_SIZE as u64;
        let len_bytes = !geometry.upper_half() + 1 - start;
        PageTable {
            root: ManuallyDrop::new(root),
            geometry,
            space: SpaceId::KERNEL,
            start,
            len_bytes,
            emptied: Emptied::NONE,
        }
    }

    /// The root, as long as the table is borrowed.
    #[inline]
    fn root(&self) -> Table<'_> {
        // SAFETY: `root` is a page-table page, and is not freed while `self` is borrowed.
        unsafe { Table::new(self.root.pa()) }
    }

    /// The first address that the table may map: where the user's half begins.
    #[inline]
    pub fn start(&self) -> VirtAddr {
        VirtAddr::new(self.start)
    }

    /// Whether the table may map `address`.
    #[inline]
    fn may_map(&self, address: u64) -> bool {
        address.wrapping_sub(self.start) < self.len_bytes
    }

    /// What goes into CR3.
    #[inline]
    pub fn root_pa(&self) -> PhysAddr {
        self.root.pa()
    }

    /// With how many levels, and so on.
    #[inline]
    pub fn geometry(&self) -> X86 {
        self.geometry
    }

    /// The address space whose table this is.
    #[inline]
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Gives back the table with all that it maps: at once, since CPUs that still have it loaded are sent away from it
    /// first. No CPU may switch to it any more.
    pub fn retire(mut self, batch: &mut FlushBatch<'_>) {
        debug_assert!(batch.space() == self.space, "the batch is another space's");
        limbo::drain_space(Kernel, self.space);
        batch.make_unreachable();
        free_everything(&mut self, batch);
        kernel_map::entries().clear_from(&self);
        let mut table = ManuallyDrop::new(self);
        // SAFETY: `table` is neither used nor dropped any more, so that the root is taken out once.
        let root = unsafe { ManuallyDrop::take(&mut table.root) };
        // SAFETY: the user's entries are empty now, and so are the kernel's.
        unsafe { root.drop_zeroed() };
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        debug_assert!(false, "a page table was dropped, not retired");
    }
}

/// A new, empty page-table page of `level`.
#[inline]
fn new_table_page(level: u32) -> Result<Frame, NoMemory> {
    let page = frame::alloc_zeroed(FrameKind::PageTable)?;
    Usage::reset(page.word(), level);
    Ok(page)
}
