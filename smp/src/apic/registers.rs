//! The local APIC's registers, by one number in both modes: MSR `0x800 + n`, or memory at `base + 16 * n`.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Where the registers are in memory, or 0 in x2APIC mode.
///
/// Written once by the boot CPU before any other CPU or interrupt handler can read it, hence relaxed throughout.
static MEMORY_BASE: AtomicUsize = AtomicUsize::new(0);

const FIRST_MSR: u32 = 0x800;
const BYTES_PER_REGISTER: usize = 16;

/// Register numbers, as in the processor manuals' x2APIC table.
#[derive(Copy, Clone)]
#[repr(u32)]
pub(super) enum Register {
    Id = 0x02,
    TaskPriority = 0x08,
    EndOfInterrupt = 0x0b,
    SpuriousVector = 0x0f,
    ErrorStatus = 0x28,
    InterruptCommand = 0x30,
    /// The destination; a register of its own in xAPIC mode only.
    InterruptCommandHigh = 0x31,
    TimerEntry = 0x32,
    Lint0Entry = 0x35,
    Lint1Entry = 0x36,
    TimerInitialCount = 0x38,
    TimerCurrentCount = 0x39,
    TimerDivide = 0x3e,
}

/// The memory address of the registers, or `None` in x2APIC mode.
#[inline(always)]
pub(super) fn memory_base() -> Option<usize> {
    match MEMORY_BASE.load(Relaxed) {
        0 => None,
        base => Some(base),
    }
}

/// Switches every later access to memory at `base`, or to MSRs.
///
/// # Safety
/// 1. `Some(base)`: the registers are mapped there, uncached, for ever, and every CPU stays in xAPIC mode.
/// 2. `None`: every CPU that calls [`read`] or [`write`](fn@write) is in x2APIC mode.
/// 3. No other CPU and no interrupt handler uses the APIC meanwhile.
pub(super) unsafe fn set_memory_base(base: Option<usize>) {
    MEMORY_BASE.store(base.unwrap_or(0), Relaxed);
}

/// Reads `register` of the CPU that runs this.
#[inline(always)]
pub(super) fn read(register: Register) -> u32 {
    match memory_base() {
        // SAFETY: where the registers are.
        Some(base) => unsafe { read_at(base, register) },
        // SAFETY: this CPU is in x2APIC mode (promise of `set_memory_base`); all in `Register` can be read.
        None => unsafe { msr::read(FIRST_MSR + register as u32) as u32 },
    }
}

/// Writes `register` of the CPU that runs this.
///
/// # Safety
/// The value is one that the register takes, and what it sets off (an interrupt, a start of another CPU) is expected.
#[inline(always)]
pub(super) unsafe fn write(register: Register, value: u32) {
    match memory_base() {
        // SAFETY: where the registers are; the caller answers for the effect.
        Some(base) => unsafe { write_at(base, register, value) },
        // SAFETY: this CPU is in x2APIC mode, as in `read`; the caller answers for the effect.
        None => unsafe { msr::write(FIRST_MSR + register as u32, u64::from(value)) },
    }
}

/// Writes the interrupt command register of x2APIC mode, which is one of 64 bits.
///
/// # Safety
/// 1. This CPU is in x2APIC mode.
/// 2. The command is well formed and its effect on the target is expected.
#[inline(always)]
pub(super) unsafe fn write_command(command: u64) {
    // SAFETY: the caller's two conditions.
    unsafe { msr::write_fenced(FIRST_MSR + Register::InterruptCommand as u32, command) };
}

/// As [`read`], in xAPIC mode.
///
/// # Safety
/// `base` is what [`memory_base`] says.
#[inline(always)]
pub(super) unsafe fn read_at(base: usize, register: Register) -> u32 {
    // SAFETY: the caller of `set_memory_base` promised that the registers are mapped; all in `Register` can be read.
    unsafe { address(base, register).read_volatile() }
}

/// As [`write`](fn@write), in xAPIC mode.
///
/// # Safety
/// 1. `base` is what [`memory_base`] says.
/// 2. As for [`write`](fn@write).
#[inline(always)]
pub(super) unsafe fn write_at(base: usize, register: Register, value: u32) {
    // SAFETY: mapped, as in `read_at`; the caller answers for the effect.
    unsafe { address(base, register).write_volatile(value) };
}

fn address(base: usize, register: Register) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(base + register as usize * BYTES_PER_REGISTER)
}

/// Model-specific registers.
pub(super) mod msr {
    use x86_64::registers::model_specific::Msr;

    /// Reads an MSR.
    ///
    /// # Safety
    /// The CPU has it.
    #[inline(always)]
    pub(in crate::apic) unsafe fn read(number: u32) -> u64 {
        // SAFETY: the caller's condition; reading has no effect on memory.
        unsafe { Msr::new(number).read() }
    }

    /// Writes an MSR.
    ///
    /// # Safety
    /// The CPU has it, and the effect of the value is expected.
    #[inline(always)]
    pub(in crate::apic) unsafe fn write(number: u32, value: u64) {
        // SAFETY: the caller's condition.
        unsafe { Msr::new(number).write(value) }
    }

    /// Writes an MSR after all stores before it are visible to other CPUs.
    ///
    /// A WRMSR to an x2APIC register is not serialising: the interrupt could overtake the stores that it announces.
    /// MFENCE orders the stores, and LFENCE holds back the WRMSR, which MFENCE alone does not.
    ///
    /// # Safety
    /// As for [`write`](fn@write).
    #[inline(always)]
    pub(in crate::apic) unsafe fn write_fenced(number: u32, value: u64) {
        // SAFETY: the caller's condition. No `nomem`: the stores before must really come before.
        unsafe {
            core::arch::asm!(
                "mfence",
                "lfence",
                "wrmsr",
                in("ecx") number,
                in("eax") value as u32,
                in("edx") (value >> 32) as u32,
                options(nostack, preserves_flags),
            );
        }
    }
}
