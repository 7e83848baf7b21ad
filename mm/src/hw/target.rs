//! The real machine. All physical memory is identity-mapped in the low half.

use core::ptr;

use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use crate::addr::{PhysAddr, VirtAddr};

/// `Box`, `Arc` and `Vec` allocate from the kernel heap.
pub(crate) const USES_KERNEL_HEAP: bool = true;

#[inline]
pub(super) fn phys_to_ptr(pa: PhysAddr) -> *mut u8 {
    ptr::with_exposed_provenance_mut(pa.as_usize())
}

#[inline]
pub(super) fn ptr_to_phys(ptr: *const u8) -> PhysAddr {
    PhysAddr::new(ptr.expose_provenance() as u64)
}

#[inline]
pub(super) fn flush_page(page: VirtAddr) {
    // The crate's address type is 48-bit and would refuse a 5-level address; the instruction takes any.
    // SAFETY: invlpg drops a translation and changes nothing else; it does not fault, canonical or not.
    unsafe {
        core::arch::asm!("invlpg [{}]", in(reg) page.as_u64(), options(nostack, preserves_flags));
    }
}

#[inline]
pub(super) fn flush_all() {
    tlb::flush_all();
}

#[inline]
pub(super) fn current_root() -> PhysAddr {
    PhysAddr::new(Cr3::read().0.start_address().as_u64())
}

/// # Safety
/// As `hw::load_root`, and 3. interrupts are off.
#[inline]
pub(super) unsafe fn load_root(root: PhysAddr) {
    let frame = PhysFrame::containing_address(x86_64::PhysAddr::new(root.as_u64()));
    // SAFETY: the caller vouches for the table (1 and 2); no CR3 flag is used.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}
