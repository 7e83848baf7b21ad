//! The stand-in: copies translate each page as the processor would, by the page table in this thread's CR3, and a miss
//! calls the page-fault handler that the test has set for this thread.

use core::cell::RefCell;
use std::rc::Rc;

use super::{RecoveryPoint, copy_bytes};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::hw;
use crate::page_table::{Entry, Perm};

/// Brings in the page of an address for a read or (true) a write, and says whether to try again.
type PageFaultHandler = dyn Fn(VirtAddr, bool) -> bool;

std::thread_local! {
    static PAGE_FAULT_HANDLER: RefCell<Option<Rc<PageFaultHandler>>> = const { RefCell::new(None) };
}

/// Sets what handles this thread's page faults; without one, a fault is an error at once.
///
/// The handler gets the address and whether it is written, and says whether to try again.
pub fn on_page_fault(handler: impl Fn(VirtAddr, bool) -> bool + 'static) {
    PAGE_FAULT_HANDLER.with(|slot| *slot.borrow_mut() = Some(Rc::new(handler)));
}

/// # Safety
/// As `copy_bytes`, with `source` as an address that is looked up in this thread's page table.
pub(crate) unsafe fn copy_in(destination: *mut u8, source: usize, len_bytes: usize) -> usize {
    for_each_page(source, len_bytes, false, |user, offset, len| {
        // SAFETY: 1. `offset + len` is at most `len_bytes`; 2. `user` is where the page table says.
        unsafe { copy_bytes(destination.add(offset), user, len) }
    })
}

/// # Safety
/// As `copy_bytes`, with `destination` as an address that is looked up in this thread's page table.
pub(crate) unsafe fn copy_out(destination: usize, source: *const u8, len_bytes: usize) -> usize {
    for_each_page(destination, len_bytes, true, |user, offset, len| {
        // SAFETY: 1. `offset + len` is at most `len_bytes`; 2. `user` is where the page table says.
        unsafe { copy_bytes(user, source.add(offset), len) }
    })
}

/// Cuts a range of user addresses into pages, and calls `copy` with where each part lies in the host's memory, its
/// distance from the start, and its length. Returns how many bytes that are.
fn for_each_page(
    address: usize,
    len_bytes: usize,
    is_write: bool,
    mut copy: impl FnMut(*mut u8, usize, usize) -> usize,
) -> usize {
    let mut offset = 0;
    while offset < len_bytes {
        let virt = VirtAddr::new((address + offset) as u64);
        let Some(phys) = translate_or_fault(virt, is_write) else {
            break;
        };
        let len = (PAGE_SIZE - virt.page_offset()).min(len_bytes - offset);
        offset += copy(hw::phys_to_ptr(phys), offset, len);
    }
    offset
}

fn translate_or_fault(virt: VirtAddr, is_write: bool) -> Option<PhysAddr> {
    loop {
        if let Some(phys) = translate(virt, is_write) {
            return Some(phys);
        }
        let handler = PAGE_FAULT_HANDLER.with(|slot| slot.borrow().clone())?;
        if !handler(virt, is_write) {
            return None;
        }
    }
}

/// What a processor with 4-level page tables does for an access of the kernel through the SMAP window: it wants the
/// page, and the right to write, in the entries of all levels, and marks those that it has used. It does not ask whose
/// page it is.
pub(crate) fn translate(virt: VirtAddr, is_write: bool) -> Option<PhysAddr> {
    let right = if is_write { Perm::WRITE } else { Perm::empty() };
    let wanted = Perm::PRESENT | right;
    let mut table = hw::current_root();
    for level in (1..=4).rev() {
        let shift = 12 + 9 * (level - 1);
        let index = (virt.as_u64() >> shift) & 511;
        let slot = hw::phys_to_ptr(PhysAddr::new(table.as_u64() + 8 * index)).cast::<u64>();
        // SAFETY: CR3 names a page-table root, whose entries name tables; nobody changes this thread's table now.
        let entry = Entry::from_raw(unsafe { slot.read() });
        if !entry.perm().contains(wanted) {
            return None;
        }
        let is_leaf = entry.is_leaf(level);
        let used = if is_leaf && is_write {
            Perm::ACCESSED | Perm::DIRTY
        } else {
            Perm::ACCESSED
        };
        // SAFETY: as above.
        unsafe { slot.write(entry.raw() | used.bits()) };
        if is_leaf {
            return entry.pa().checked_add(virt.as_u64() & ((1 << shift) - 1));
        }
        table = entry.pa();
    }
    None
}

/// The entries of both loops, which the host's linker has put between symbols of its own.
#[cfg(test)]
pub(super) fn recovery_points() -> &'static [RecoveryPoint] {
    unsafe extern "C" {
        static __start___ex_table: [RecoveryPoint; 0];
        static __stop___ex_table: [RecoveryPoint; 0];
    }
    let start = (&raw const __start___ex_table).cast::<RecoveryPoint>();
    let end = (&raw const __stop___ex_table).cast::<RecoveryPoint>();
    let len = (end.addr() - start.addr()) / size_of::<RecoveryPoint>();
    // SAFETY: between the two symbols lies the section, which holds nothing but entries of two 32-bit words.
    unsafe { core::slice::from_raw_parts(start, len) }
}

/// Programs that only link this library have no use for the entries.
#[cfg(not(test))]
pub(super) fn recovery_points() -> &'static [RecoveryPoint] {
    &[]
}
