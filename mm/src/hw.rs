//! The hardware that `mm` touches: how physical memory is reached, CR3 and the TLB.
//!
//! On the host a stand-in takes its place (`host`): physical memory is an arena, and each thread has a CR3 of its own.

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(not(target_os = "none"))]
use host as machine;

#[cfg(target_os = "none")]
mod target;
#[cfg(target_os = "none")]
use target as machine;

pub(crate) use machine::USES_KERNEL_HEAP;

pub mod user_access;

use crate::addr::{PhysAddr, VirtAddr};
use smp::irq::IrqOff;

/// Where the kernel reaches the byte at physical address `pa`.
///
/// Making the pointer is safe; reading or writing through it needs the caller to own what lies there.
#[inline]
pub fn phys_to_ptr(pa: PhysAddr) -> *mut u8 {
    machine::phys_to_ptr(pa)
}

/// The physical address of what `ptr` points to: the inverse of [`phys_to_ptr`].
///
/// `ptr` must have come from `phys_to_ptr`; for any other pointer the result means nothing.
#[inline]
pub fn ptr_to_phys(ptr: *const u8) -> PhysAddr {
    machine::ptr_to_phys(ptr)
}

/// Fills a page with zeros.
///
/// # Safety
/// `page` is the address of a page of memory that is mapped writable, that the caller may overwrite and nobody else
/// reads as a Rust value.
#[inline]
pub(crate) unsafe fn zero_page(page: *mut u8) {
    // SAFETY: passed on.
    unsafe { machine::zero_page(page) };
}

/// Drops this CPU's translation of the page at `page`.
#[inline]
pub fn flush_page(page: VirtAddr) {
    machine::flush_page(page);
}

/// Drops all translations of this CPU that are not global, by loading CR3 with what it holds.
#[inline]
pub fn flush_all() {
    machine::flush_all();
}

/// The page-table root that this CPU uses.
#[inline]
pub fn current_root() -> PhysAddr {
    machine::current_root()
}

/// Loads `root` into CR3, which drops all translations that are not global.
///
/// # Safety
/// 1. `root` is a page-table root that maps the kernel exactly as the current one does.
/// 2. The table stays alive until another root has been loaded on this CPU.
#[inline]
pub unsafe fn load_root(root: PhysAddr, _off: &IrqOff) {
    // SAFETY: 1. and 2. are passed on; 3. `_off` is a witness that interrupts are off.
    unsafe { machine::load_root(root) };
}
