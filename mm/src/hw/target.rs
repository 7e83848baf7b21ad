//! The real machine. All physical memory is identity-mapped in the low half.

use core::ptr;

use smp::fpu;
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

/// Stores zeros to all of a page by one register, whose contents are the current thread's and are put back: the kernel
/// itself uses none of these.
macro_rules! zero_page_by {
    ($page:expr, $register:literal, $len_bytes:literal, $unaligned:literal, $aligned:literal, $clear:literal) => {
        core::arch::asm!(
            concat!("sub rsp, ", $len_bytes),
            concat!($unaligned, " [rsp], ", $register),
            $clear,
            "2:",
            ".set zero_page_offset, 0",
            ".rept 32",
            concat!($aligned, " [{page} + zero_page_offset], ", $register),
            concat!(".set zero_page_offset, zero_page_offset + ", $len_bytes),
            ".endr",
            concat!("add {page}, 32 * ", $len_bytes),
            "cmp {page}, {end}",
            "jne 2b",
            concat!($unaligned, " ", $register, ", [rsp]"),
            concat!("add rsp, ", $len_bytes),
            page = inout(reg) $page => _,
            end = in(reg) $page.wrapping_add(PAGE_SIZE),
        )
    };
}

/// Thirty-two bytes at a time where there is AVX, or else sixteen.
///
/// # Safety
/// As `hw::zero_page`.
#[inline]
pub(super) unsafe fn zero_page(page: *mut u8) {
    // SAFETY: 1. SSE instructions are switched on by the entry code, on the other CPUs by the trampoline, and AVX on each
    // CPU before it comes here, if there is any; the only register that they change is restored, and of its upper half,
    // SSE does not touch what it does not restore. 2. The loop stores to this page only, which is aligned and the
    // caller's to overwrite. 3. The stack is used as push does.
    unsafe {
        if fpu::has_avx() {
            zero_page_by!(
                page,
                "ymm0",
                "32",
                "vmovups",
                "vmovaps",
                "vxorps ymm0, ymm0, ymm0"
            );
        } else {
            zero_page_by!(page, "xmm0", "16", "movups", "movaps", "xorps xmm0, xmm0");
        }
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
