//! The kernel's own map: the lower half of every address space, built once at boot.
//!
//! All memory is mapped at its physical address, with the largest pages that its rights allow; device registers too,
//! not cached. What the kernel executes cannot be written, and nothing else can be executed. Page 0 is not mapped, so
//! that a null pointer faults. Beside that there is a window for kernel stacks, which [`map_page`] fills page by page.
//!
//! The root's entries for all of this are fixed when [`build`] has finished: each new page table copies them and shares
//! the tables below. From then on entries of the window go from not present to present and never back. So no CPU ever
//! keeps a translation of this map that is wrong, and it needs no shootdown.

mod build;
mod layout;
#[cfg(test)]
mod tests;

use core::mem::ManuallyDrop;

use geometry::X86;
use smp::IrqOff;
use spin::Once;

use crate::addr::{self, PhysAddr, VirtAddr};
use crate::error::MapError;
use crate::frame::Frame;
use crate::hw;
use crate::page_table::{
    Entry, KernelEntries, Leaves, Lookup, PageTable, Perm, VmIter, set_highest_leaf_level,
};

pub use layout::{KernelLayout, Section};

/// Where the window begins that [`map_page`] fills: far above all memory, in a root entry of its own with 4 levels.
pub const WINDOW_START: VirtAddr = VirtAddr::new(0x7f00_0000_0000);

/// How long the window is: what an entry of the root of 4 levels covers.
pub const WINDOW_BYTES: u64 = 512 << 30;

/// The map, once it is built.
static MAP: Once<KernelMap> = Once::new();

/// The kernel's own page table, and what new page tables copy of it.
struct KernelMap {
    table: PageTable,
    entries: KernelEntries,
}

/// Builds the map, for the boot CPU alone, when frames can be allocated. It is not used before [`activate`].
///
/// # Errors
/// `NoMemory`; `OutOfRange` if a range does not fit into the lower half or takes up too many root entries.
pub fn build(layout: &KernelLayout<'_>) -> Result<(), MapError> {
    // As in `build_table`.
    let table = ManuallyDrop::new(build::build_table(layout)?);
    let entries = KernelEntries::of(&table)?;
    addr::set_user_start(layout.levels);
    set_highest_leaf_level(layout.highest_leaf_level());
    let table = ManuallyDrop::into_inner(table);
    MAP.call_once(|| KernelMap { table, entries });
    Ok(())
}

/// Loads the map into CR3 of this CPU.
///
/// # Safety
/// [`build`] was told of everything that this CPU is using, its code and its stack above all, with the rights that it
/// needs.
pub unsafe fn activate(off: &IrqOff) {
    if let Some(root) = root_pa() {
        // SAFETY: 1. the caller vouches for the map; 2. it is never freed.
        unsafe { hw::load_root(root, off) };
    }
}

/// The root of the map, below 4 GiB so that a CPU can load it in 32-bit mode; `None` before [`build`].
pub fn root_pa() -> Option<PhysAddr> {
    MAP.get().map(|map| map.table.root_pa())
}

/// The shape of the map; `None` before [`build`].
pub fn geometry() -> Option<X86> {
    MAP.get().map(|map| map.table.geometry())
}

/// Whether the kernel can access `va`, in its own half.
pub fn is_mapped(va: VirtAddr) -> bool {
    MAP.get()
        .is_some_and(|map| VmIter::new(&map.table, va).present())
}

/// The leaves of the map; none before [`build`].
pub fn leaves() -> Leaves {
    MAP.get().map_or(Leaves::default(), |map| {
        let table = &map.table;
        table.leaves(table.start(), addr::user_start())
    })
}

/// Calls `visit` for each entry of the map that a walk towards `address` reads, from the root down to a leaf or a hole.
pub fn walk(address: VirtAddr, visit: &mut dyn FnMut(Lookup, Entry)) {
    if let Some(map) = MAP.get() {
        map.table.for_each_step(address, visit);
    }
}

/// Maps `frame` at `va`, in the window, for ever. Any CPU may call it.
///
/// # Errors
/// `AlreadyMapped`; `OutOfRange` if `va` is not in the window; `NoMemory`. Then nothing has changed.
pub fn map_page(va: VirtAddr, frame: Frame, perm: Perm) -> Result<(), MapError> {
    let is_in_window = va.as_u64().wrapping_sub(WINDOW_START.as_u64()) < WINDOW_BYTES;
    let map = MAP
        .get()
        .filter(|_| is_in_window)
        .ok_or(MapError::OutOfRange)?;
    VmIter::new(&map.table, va).try_fill(frame, kernel_perm(perm))
}

/// What new page tables copy: the root's entries for the kernel's half.
pub(crate) fn entries() -> &'static KernelEntries {
    static BEFORE_BUILD: KernelEntries = KernelEntries::none();
    MAP.get().map_or(&BEFORE_BUILD, |map| &map.entries)
}

/// `perm` with what all entries of the kernel's own map have. Marking them as used from the start spares the processor
/// that.
fn kernel_perm(perm: Perm) -> Perm {
    let dirty = if perm.contains(Perm::WRITE) {
        Perm::DIRTY
    } else {
        Perm::empty()
    };
    perm.difference(Perm::USER) | Perm::GLOBAL | Perm::ACCESSED | dirty
}
