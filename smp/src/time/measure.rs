//! Finding out, at boot, how fast the time-stamp counter and the APIC timer run.

use core::arch::x86_64::{__cpuid, CpuidResult};

use super::readings::{self, Clocks};
use super::{clock, pit};
use crate::{apic, hw, irq};

/// What the clocks were measured against.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Reference {
    /// The processor says how fast its counter runs.
    Cpuid,
    /// The interval timer.
    Pit,
}

/// How fast the clocks of this machine run.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Calibration {
    /// Frequency of the time-stamp counter.
    pub tsc_hz: u64,
    /// Frequency of the APIC timer.
    pub apic_timer_hz: u64,
    /// Where that is from.
    pub reference: Reference,
}

/// No clock of known speed was found.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct NoReferenceClock;

/// Measures the clocks and lets time begin: at the counter's value `first_instruction`, taken when the kernel started.
///
/// The boot CPU calls this once, after [`apic::init_boot_cpu`] and before it starts any other CPU or timer.
///
/// # Errors
/// [`NoReferenceClock`]: time stays 0 and timers do not work.
pub fn init(first_instruction: u64) -> Result<Calibration, NoReferenceClock> {
    let _off = irq::disable();
    let calibration = match tsc_hz_from_cpuid() {
        Some(tsc_hz) => by_cpuid(tsc_hz),
        None => by_pit(),
    };
    apic::stop_timer();
    let calibration = calibration.ok_or(NoReferenceClock)?;
    clock::start(first_instruction, calibration.tsc_hz);
    apic::set_timer_frequency(calibration.apic_timer_hz);
    Ok(calibration)
}

fn by_cpuid(tsc_hz: u64) -> Option<Calibration> {
    // Only the timer is measured.
    let apic_timer_hz = readings::measure(&ByCounter { tsc_hz })?.apic_hz;
    (apic_timer_hz > 0).then_some(Calibration {
        tsc_hz,
        apic_timer_hz,
        reference: Reference::Cpuid,
    })
}

fn by_pit() -> Option<Calibration> {
    let best = readings::measure(&ByPit)?;
    (best.apic_hz > 0).then_some(Calibration {
        tsc_hz: best.tsc_hz,
        apic_timer_hz: best.apic_hz,
        reference: Reference::Pit,
    })
}

/// The counter itself is the reference clock.
struct ByCounter {
    tsc_hz: u64,
}

impl Clocks for ByCounter {
    fn reference_hz(&self) -> u64 {
        self.tsc_hz
    }

    fn start(&self) {
        apic::start_timer_for_measuring();
    }

    fn reference(&self) -> Option<u64> {
        Some(hw::timestamp())
    }

    fn counter(&self) -> u64 {
        hw::timestamp()
    }

    fn apic_ticks(&self) -> u64 {
        u64::from(apic::measured_ticks())
    }
}

/// The interval timer is the reference clock.
struct ByPit;

impl Clocks for ByPit {
    fn reference_hz(&self) -> u64 {
        pit::HZ
    }

    fn start(&self) {
        apic::start_timer_for_measuring();
        pit::start();
    }

    fn reference(&self) -> Option<u64> {
        pit::ticks().map(u64::from)
    }

    fn counter(&self) -> u64 {
        hw::timestamp()
    }

    fn apic_ticks(&self) -> u64 {
        u64::from(apic::measured_ticks())
    }
}

/// The counter's frequency, where the processor or the hypervisor tells it.
fn tsc_hz_from_cpuid() -> Option<u64> {
    const HYPERVISOR_PRESENT: u32 = 1 << 31;
    const HYPERVISOR_LEAF: u32 = 0x4000_0000;
    const HYPERVISOR_CLOCKS_LEAF: u32 = 0x4000_0010;
    const CRYSTAL_LEAF: u32 = 0x15;

    if __cpuid(1).ecx & HYPERVISOR_PRESENT != 0
        && __cpuid(HYPERVISOR_LEAF).eax >= HYPERVISOR_CLOCKS_LEAF
    {
        let khz = __cpuid(HYPERVISOR_CLOCKS_LEAF).eax;
        return (khz != 0).then_some(u64::from(khz) * 1000);
    }
    if __cpuid(0).eax < CRYSTAL_LEAF {
        return None;
    }
    // The ratio of the counter to the crystal, and the crystal's frequency, which older processors leave out.
    let CpuidResult {
        eax: denominator,
        ebx: numerator,
        ecx: crystal_hz,
        ..
    } = __cpuid(CRYSTAL_LEAF);
    if denominator == 0 || numerator == 0 || crystal_hz == 0 {
        return None;
    }
    Some(u64::from(crystal_hz) * u64::from(numerator) / u64::from(denominator))
}
