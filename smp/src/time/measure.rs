//! Finding out, at boot, how fast the time-stamp counter and the APIC timer run.

use core::arch::x86_64::{__cpuid, CpuidResult};
use core::hint::spin_loop;

use super::calibration::{Frequencies, Reading, frequencies};
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

const READINGS: usize = 6;
/// The distance of readings: 10 ms in all.
const DISTANCE_US: u64 = 2000;
/// How often to try again when the machine was away for so long that the reference clock went round, or too often to
/// measure well.
const ATTEMPTS: usize = 10;
/// A better measurement is not worth another 10 ms. A quiet emulator comes to some 300.
const GOOD_ENOUGH_PER_MILLION: u64 = 500;
/// Of looks that follow each other at once, the quickest counts.
const LOOKS: usize = 3;

const US_PER_SECOND: u64 = 1_000_000;

/// Measures the clocks and lets time begin: at the counter's value `first_instruction`, taken when the kernel started.
///
/// The boot CPU calls this once, after [`apic::init_boot_cpu`] and before it starts any other CPU or timer.
///
/// # Errors
/// [`NoReferenceClock`]: time stays 0 and timers do not work.
pub fn init(first_instruction: u64) -> Result<Calibration, NoReferenceClock> {
    let _off = irq::disable();
    apic::start_timer_for_measuring();
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
    // The counter itself is the reference clock, and only the timer is measured.
    let readings = take_readings(tsc_hz, || Some(hw::timestamp()))?;
    let apic_timer_hz = frequencies(&readings, tsc_hz)?.apic_hz;
    (apic_timer_hz > 0).then_some(Calibration {
        tsc_hz,
        apic_timer_hz,
        reference: Reference::Cpuid,
    })
}

fn by_pit() -> Option<Calibration> {
    let mut best: Option<Frequencies> = None;
    for _ in 0..ATTEMPTS {
        pit::start();
        let Some(readings) = take_readings(pit::HZ, || pit::ticks().map(u64::from)) else {
            continue;
        };
        let found = frequencies(&readings, pit::HZ)?;
        if best.is_none_or(|best| found.doubt_per_million < best.doubt_per_million) {
            best = Some(found);
        }
        if found.doubt_per_million <= GOOD_ENOUGH_PER_MILLION {
            break;
        }
    }
    let best = best.filter(|best| best.apic_hz > 0)?;
    Some(Calibration {
        tsc_hz: best.tsc_hz,
        apic_timer_hz: best.apic_hz,
        reference: Reference::Pit,
    })
}

/// Takes readings at equal distances. `None` if the reference clock says that it has been left alone for too long, or
/// stands still.
fn take_readings(
    reference_hz: u64,
    reference: impl Fn() -> Option<u64>,
) -> Option<[Reading; READINGS]> {
    let first = read_clocks(&reference)?;
    let mut readings = [first; READINGS];
    let distance = DISTANCE_US * reference_hz / US_PER_SECOND;
    for (number, reading) in readings.iter_mut().enumerate().skip(1) {
        wait_until(&reference, first.reference + number as u64 * distance)?;
        *reading = read_clocks(&reference)?;
    }
    Some(readings)
}

fn wait_until(reference: impl Fn() -> Option<u64>, end: u64) -> Option<()> {
    // A clock that stands still shows by the number of looks: even a fast one takes thousands of cycles for 2 ms.
    const LOOKS_AT_MOST: u32 = 50_000_000;
    for _ in 0..LOOKS_AT_MOST {
        if reference()? >= end {
            return Some(());
        }
        spin_loop();
    }
    None
}

fn read_clocks(reference: impl Fn() -> Option<u64>) -> Option<Reading> {
    let look = || {
        let tsc_before = hw::timestamp();
        let reference = reference()?;
        let apic = u64::from(apic::measured_ticks());
        Some(Reading {
            tsc_before,
            tsc_after: hw::timestamp(),
            reference,
            apic,
        })
    };
    let mut quickest = look()?;
    for _ in 1..LOOKS {
        let next = look()?;
        if next.tsc_after - next.tsc_before < quickest.tsc_after - quickest.tsc_before {
            quickest = next;
        }
    }
    Some(quickest)
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
