//! The real CPU.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::percpu::{PerCpuBlock, offset};

/// Until the firmware's tables have been read, the boot CPU is the only one known.
pub(crate) const POSSIBLE_AT_START: usize = 1;

const RFLAGS_INTERRUPTS: u64 = 1 << 9;
const MSR_FS_BASE: u32 = 0xc000_0100;
const MSR_GS_BASE: u32 = 0xc000_0101;

/// Whether this CPU takes interrupts now.
#[inline(always)]
pub(crate) fn interrupts_enabled() -> bool {
    let flags: u64;
    // SAFETY: reads the flags by way of the stack, which the compiler knows (no `nostack`).
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & RFLAGS_INTERRUPTS != 0
}

/// Turns interrupts off.
#[inline(always)]
pub(crate) fn disable_interrupts() {
    // SAFETY: turning interrupts off breaks nobody's assumption. Without `nomem` no access moves across.
    unsafe { asm!("cli", options(nostack)) };
}

/// Turns interrupts on. The callers, all in `irq`, know that nobody relies on their being off.
#[inline(always)]
pub(crate) fn enable_interrupts() {
    // SAFETY: handlers are installed before the first caller turns interrupts on; they keep registers and stack.
    // Without `nomem` no access moves across.
    unsafe { asm!("sti", options(nostack)) };
}

/// Turns interrupts on, sleeps until one has been handled, turns them off. One that is already waiting is not missed,
/// since STI takes effect only after the instruction that follows it.
pub(crate) fn halt_until_interrupt() {
    // SAFETY: as for `enable_interrupts` and `disable_interrupts`.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Tells the CPU (and the emulator) that this is a wait loop.
#[inline(always)]
pub(crate) fn pause() {
    core::hint::spin_loop();
}

/// The time-stamp counter.
pub(crate) fn timestamp() -> u64 {
    // SAFETY: every x86-64 CPU has the counter, and the kernel never sets CR4.TSD.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The number of this CPU.
#[inline(always)]
pub(crate) fn cpu_index() -> u32 {
    let index: u32;
    // SAFETY: GS holds this CPU's block (`percpu::install` is the first thing that a CPU does). `readonly`, not
    // `nomem`: a thread that has been switched away from, which clobbers memory, may find itself on another CPU.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) index, const offset::CPU, options(pure, readonly, nostack, preserves_flags));
    }
    index
}

/// This CPU's block.
#[inline(always)]
pub(crate) fn block() -> &'static PerCpuBlock {
    let block: *const PerCpuBlock;
    // SAFETY: as in `cpu_index`; `install_block` has stored the block's own address in its first word.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) block, const offset::SELF, options(pure, readonly, nostack, preserves_flags));
    }
    // SAFETY: it was made from a `&'static PerCpuBlock`.
    unsafe { &*block }
}

/// What interrupt handlers of this CPU have left for a thread to do: one instruction, where `block` would take two.
#[inline(always)]
pub(crate) fn own_notes() -> u64 {
    let notes: u64;
    // SAFETY: as in `cpu_index`.
    unsafe {
        asm!(
            "movzx {:e}, byte ptr gs:[{}]",
            out(reg) notes,
            const offset::NOTES,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    notes
}

/// This CPU's element in the table that has `place`; null if it has not been set, or if the table has none.
///
/// # Safety
/// `place` is one that there is in a block.
#[inline(always)]
pub(crate) unsafe fn own_element(place: usize) -> *mut () {
    let element: *mut ();
    // SAFETY: as in `cpu_index`; the caller's condition.
    unsafe {
        asm!(
            "mov {}, gs:[{} * 8 + {}]",
            out(reg) element,
            in(reg) place,
            const offset::ELEMENTS,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    element
}

/// Makes `block` what GS points to.
///
/// # Safety
/// As for `percpu::install`.
pub(crate) unsafe fn install_block(block: &'static PerCpuBlock) {
    // SAFETY: the register exists on every x86-64 CPU; the base is a canonical address; the caller says that nothing on
    // this CPU uses another base.
    unsafe { write_msr(MSR_GS_BASE, core::ptr::from_ref(block) as u64) };
}

/// Sets the base of FS, which the kernel does not use.
///
/// # Safety
/// `base` is canonical.
#[inline(always)]
pub(crate) unsafe fn set_fs_base(base: u64) {
    // SAFETY: the register exists on every x86-64 CPU, and takes any canonical address.
    unsafe { write_msr(MSR_FS_BASE, base) };
}

/// Sets RSP0 in the TSS of this CPU, whose block is `block`.
#[inline(always)]
pub(crate) fn set_rsp0(block: &PerCpuBlock, rsp0: u64) {
    let place = block.tss_rsp0.load(Ordering::Relaxed);
    // SAFETY: the segments of a CPU are set up before it runs any fiber, and its TSS lives for ever. It aligns its
    // words to 4 bytes only. Only this CPU uses it, when it leaves user mode.
    unsafe { place.write_unaligned(rsp0) };
}

/// Writes a model-specific register.
///
/// # Safety
/// The register exists and takes the value, and nothing relies on the one that it had.
#[inline(always)]
unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: passed on.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") register,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags)
        );
    }
}

/// How many bits a virtual address has.
pub(crate) fn virtual_address_bits() -> u32 {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    if Cr4::read().contains(Cr4Flags::L5_PAGING) {
        57
    } else {
        48
    }
}

/// Claims a word that only this CPU uses; false if it is claimed already, by the code that this interrupts or nests in.
#[inline(always)]
pub(crate) fn claim_own(word: &AtomicU32) -> bool {
    // A load and a store, not a read-modify-write: an interrupt in between leaves the word as it found it.
    if word.load(Ordering::Relaxed) != 0 {
        return false;
    }
    word.store(1, Ordering::Relaxed);
    // The compiler must not move accesses to what the word guards above the store; an interrupt could tell.
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    true
}

/// Gives up a word claimed by `claim_own`.
#[inline(always)]
pub(crate) fn release_own(word: &AtomicU32) {
    // Release keeps the accesses before it above it, for the interrupts of this CPU.
    word.store(0, Ordering::Release);
}
