//! Switching a CPU's local APIC on.
//!
//! The `x2apic` crate (0.5.1) does it for x2APIC mode. It cannot be told to use xAPIC mode on a CPU that has x2APIC, so
//! that mode is set up here. Of the crate's path, this is put right afterwards or kept from happening:
//! - it unmasks the timer before the APIC is software-enabled, which has no effect: `enable_timer` is called again;
//! - it starts the timer at once: its initial count is 0 here;
//! - it leaves both local interrupt pins unmasked with vector 0;
//! - `disable` makes a transition that the processor refuses: never called;
//! - commands lack the fence, and in xAPIC mode have the destination in the wrong bits: they go through the parent
//!   module.

use core::arch::x86_64::__cpuid;

use x2apic::lapic::{LocalApicBuilder, TimerDivide, TimerMode};

use super::ApicMode;
use super::registers::{self, Register, msr};
use crate::ipi::{SPURIOUS_VECTOR, TIMER_VECTOR};

/// The crate wants a vector for the APIC's own errors; they stay masked, as they are after a reset.
const ERROR_VECTOR: u8 = 0xfe;

const MSR_APIC_BASE: u32 = 0x1b;
const BASE_ENABLED: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;

const CPUID_FEATURE_X2APIC: u32 = 1 << 21;

const SOFTWARE_ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DELIVER_NMI: u32 = 0b100 << 8;
const DIVIDE_BY_1: u32 = 0b1011;

/// Chooses the mode for all CPUs (x2APIC where the CPU has it, unless `force_xapic`) and sets up the boot CPU's APIC.
///
/// Where the firmware has already switched to x2APIC mode, it stays on: the way back leads through a disabled APIC, and
/// some processors refuse it. Hence look at the result.
///
/// # Safety
/// 1. Called once, on the boot CPU, with interrupts off, before any other function of this module.
/// 2. `memory_base` is the physical address of the APIC registers (0xfee00000 unless the firmware says otherwise) and
///    is mapped there, uncached, for ever.
pub unsafe fn init_boot_cpu(memory_base: usize, force_xapic: bool) -> ApicMode {
    let has_x2apic = __cpuid(1).ecx & CPUID_FEATURE_X2APIC != 0;
    // SAFETY: every x86-64 CPU has this register.
    let is_x2apic = unsafe { msr::read(MSR_APIC_BASE) } & BASE_X2APIC != 0;
    let mode = if has_x2apic && (is_x2apic || !force_xapic) {
        ApicMode::X2Apic
    } else {
        ApicMode::XApic
    };
    // SAFETY: 1. mapped, and `init_cpu` leaves every CPU in xAPIC mode; 2. `init_cpu` brings each CPU into x2APIC mode
    // before its first access; 3. no other CPU runs and interrupts are off.
    unsafe { registers::set_memory_base((mode == ApicMode::XApic).then_some(memory_base)) };
    // SAFETY: 1. the mode is chosen; 2. interrupts are off.
    unsafe { init_cpu() };
    mode
}

/// Sets up this CPU's APIC in the mode that the boot CPU has chosen: local pins as on a PC (the old interrupt
/// controller is not used, NMIs arrive), the timer stopped, every vector accepted.
///
/// # Safety
/// 1. [`init_boot_cpu`] has been called, or is calling.
/// 2. Interrupts are off, and stay off until the vectors in [`crate::ipi`] have handlers.
pub unsafe fn init_cpu() {
    match super::mode() {
        ApicMode::X2Apic => enable_x2apic(),
        ApicMode::XApic => enable_xapic(),
    }
    // SAFETY: values from the processor manual; interrupts are off, so nothing arrives yet.
    unsafe {
        registers::write(Register::TaskPriority, 0);
        registers::write(Register::Lint0Entry, MASKED);
        registers::write(Register::Lint1Entry, DELIVER_NMI);
        // What went wrong before (a pin with vector 0, as the crate leaves it) is no news.
        registers::write(Register::ErrorStatus, 0);
    }
}

fn enable_x2apic() {
    let built = LocalApicBuilder::new()
        .timer_vector(usize::from(TIMER_VECTOR))
        .error_vector(usize::from(ERROR_VECTOR))
        .spurious_vector(usize::from(SPURIOUS_VECTOR))
        .timer_mode(TimerMode::OneShot)
        .timer_divide(TimerDivide::Div1)
        .timer_initial(0)
        .build();
    match built {
        // SAFETY: the CPU has x2APIC mode, interrupts are off, the vectors are those that the kernel handles.
        Ok(mut apic) => unsafe {
            apic.enable();
            apic.enable_timer();
        },
        Err(reason) => panic!("the local APIC of a CPU is unlike that of the boot CPU: {reason}"),
    }
}

fn enable_xapic() {
    // SAFETY: every x86-64 CPU has the register; the address bits stay, and the transition from xAPIC or disabled to
    // xAPIC is allowed. The other values are from the processor manual; interrupts are off.
    unsafe {
        msr::write(MSR_APIC_BASE, msr::read(MSR_APIC_BASE) | BASE_ENABLED);
        registers::write(
            Register::SpuriousVector,
            SOFTWARE_ENABLED | u32::from(SPURIOUS_VECTOR),
        );
        registers::write(Register::TimerDivide, DIVIDE_BY_1);
        registers::write(Register::TimerInitialCount, 0);
        registers::write(Register::TimerEntry, u32::from(TIMER_VECTOR));
    }
}

/// Lets the timer count down from its largest value, far too long to fire.
pub(crate) fn start_timer_for_measuring() {
    // SAFETY: the register takes any count; whoever measures stops the timer long before it fires.
    unsafe { registers::write(Register::TimerInitialCount, u32::MAX) };
}

/// Ticks since [`start_timer_for_measuring`].
pub(crate) fn measured_ticks() -> u32 {
    u32::MAX - registers::read(Register::TimerCurrentCount)
}
