//! The real machine. All physical memory is identity-mapped in the low half.

use core::ptr;

use x86_64::instructions::tlb;
use x86_64::registers::control::Cr3;

use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

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

/// Sixteen bytes at a time, by a register whose contents are the current thread's and are put back: the kernel itself
/// uses none of these.
///
/// # Safety
/// As `hw::zero_page`.
pub(super) unsafe fn zero_page(page: *mut u8) {
    let end = page.wrapping_add(PAGE_SIZE);
    // SAFETY: 1. SSE instructions are switched on by the entry code, on the other CPUs by the trampoline; the only
    // register that they change is restored, and its upper half, which they do not touch, stays as it is. 2. The loop
    // stores to [page, end) only, which is aligned to 16 bytes and the caller's to overwrite. 3. The stack is used as
    // push does.
    unsafe {
        core::arch::asm!(
            "sub rsp, 16",
            "movups [rsp], xmm0",
            "xorps xmm0, xmm0",
            "2:",
            ".set zero_page_offset, 0",
            ".rept 32",
            "movaps [{page} + zero_page_offset], xmm0",
            ".set zero_page_offset, zero_page_offset + 16",
            ".endr",
            "add {page}, 512",
            "cmp {page}, {end}",
            "jne 2b",
            "movups xmm0, [rsp]",
            "add rsp, 16",
            page = inout(reg) page => _,
            end = in(reg) end,
        );
    }
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
    // One instruction: the crate's functions would check an address that has come out of a page table's frame.
    // SAFETY: the caller vouches for the table (1 and 2); as an aligned address it sets no CR3 flag.
    unsafe {
        core::arch::asm!("mov cr3, {}", in(reg) root.as_u64(), options(nostack, preserves_flags));
    }
}
