//! How fast a counter runs, from readings that may have been disturbed.
//!
//! A reading looks at the reference clock between two looks at the counter, so the distance of the two says how far it
//! can be wrong: far, if the CPU was taken away in between (a virtual CPU loses its host for milliseconds). Of several
//! readings the pair that lies farthest apart in proportion to its doubt is believed. Being interrupted *between*
//! readings does no harm, since both clocks go on.

/// One look at the clocks.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reading {
    /// The time-stamp counter before the others were read.
    pub(super) tsc_before: u64,
    /// The time-stamp counter after that.
    pub(super) tsc_after: u64,
    /// Ticks of the reference clock.
    pub(super) reference: u64,
    /// Ticks of the APIC timer.
    pub(super) apic: u64,
}

/// The frequencies that two readings give.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) struct Frequencies {
    pub(super) tsc_hz: u64,
    pub(super) apic_hz: u64,
    /// How far they can be wrong, in millionths.
    pub(super) doubt_per_million: u64,
}

/// The reference clock's reading is rounded to its tick at both ends.
const ROUNDING_TICKS: u64 = 2;
const HZ_PER_MHZ: u64 = 1_000_000;
const PER_MILLION: u64 = 1_000_000;

/// The frequencies by the best pair of `readings`, which are in order of time. `None` if the reference clock stands
/// still.
pub(super) fn frequencies(readings: &[Reading], reference_hz: u64) -> Option<Frequencies> {
    let pairs = readings
        .iter()
        .enumerate()
        .flat_map(|(index, end)| readings[..index].iter().map(move |start| (start, end)));
    let (doubt, start, end) = pairs
        .filter_map(|(start, end)| Some((doubt_per_million(start, end)?, start, end)))
        .min_by_key(|&(doubt, ..)| doubt)?;
    let reference_ticks = end.reference - start.reference;
    let measured = |ticks: u64| round_within(hz(ticks, reference_ticks, reference_hz), doubt);
    Some(Frequencies {
        tsc_hz: measured(end.middle() - start.middle()),
        apic_hz: measured(end.apic.saturating_sub(start.apic)),
        doubt_per_million: doubt,
    })
}

impl Reading {
    fn middle(&self) -> u64 {
        self.tsc_before + (self.tsc_after - self.tsc_before) / 2
    }
}

/// How far the ratio of the two clocks can be wrong.
fn doubt_per_million(start: &Reading, end: &Reading) -> Option<u64> {
    let reference_ticks = end
        .reference
        .checked_sub(start.reference)
        .filter(|&ticks| ticks > 0)?;
    let tsc_ticks = end
        .middle()
        .checked_sub(start.middle())
        .filter(|&ticks| ticks > 0)?;
    let unsure_tsc = (start.tsc_after - start.tsc_before) + (end.tsc_after - end.tsc_before);
    Some(unsure_tsc * PER_MILLION / tsc_ticks + ROUNDING_TICKS * PER_MILLION / reference_ticks)
}

fn hz(ticks: u64, reference_ticks: u64, reference_hz: u64) -> u64 {
    (u128::from(ticks) * u128::from(reference_hz) / u128::from(reference_ticks)) as u64
}

/// Clocks are built to run at whole megahertz: if one lies within the doubt, it is that (so with one instruction for
/// each nanosecond, as QEMU counts on request, times are exact).
fn round_within(frequency_hz: u64, doubt_per_million: u64) -> u64 {
    let round = (frequency_hz + HZ_PER_MHZ / 2) / HZ_PER_MHZ * HZ_PER_MHZ;
    let tolerance_hz =
        (u128::from(frequency_hz) * u128::from(doubt_per_million) / u128::from(PER_MILLION)) as u64;
    if round.abs_diff(frequency_hz) <= tolerance_hz {
        round
    } else {
        frequency_hz
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{Reading, frequencies};

    const PIT_HZ: u64 = 1_193_182;
    const TSC_HZ: u64 = 2_899_886_123;
    const APIC_HZ: u64 = 1_000_000_000;

    /// Readings of perfect clocks at these moments, each taking `gap_ns`.
    fn readings(moments_and_gaps_us: &[(u64, u64)]) -> Vec<Reading> {
        let at = |time_us: u64, hz: u64| time_us * hz / 1_000_000;
        moments_and_gaps_us
            .iter()
            .map(|&(time_us, gap_us)| Reading {
                tsc_before: at(time_us, TSC_HZ),
                tsc_after: at(time_us + gap_us, TSC_HZ),
                // The look at the reference clock is the first thing in the gap, the worst case.
                reference: at(time_us, PIT_HZ),
                apic: at(time_us, APIC_HZ),
            })
            .collect()
    }

    fn assert_near(found: u64, expected: u64, per_million: u64) {
        let error = found.abs_diff(expected) * 1_000_000 / expected;
        assert!(
            error <= per_million,
            "{found} instead of {expected}: {error} millionths off"
        );
    }

    #[test]
    fn quiet_readings_give_the_frequencies_closely() {
        let found = frequencies(
            &readings(&[(1000, 2), (3000, 2), (5000, 2), (11000, 2)]),
            PIT_HZ,
        )
        .unwrap();
        assert_near(found.tsc_hz, TSC_HZ, 300);
        assert_eq!(found.apic_hz, APIC_HZ);
    }

    #[test]
    fn a_reading_in_whose_middle_the_cpu_was_away_is_not_believed() {
        let found = frequencies(
            &readings(&[(1000, 9000), (12000, 2), (20000, 2), (22000, 15000)]),
            PIT_HZ,
        )
        .unwrap();
        assert_near(found.tsc_hz, TSC_HZ, 400);
    }

    #[test]
    fn being_away_between_readings_does_no_harm() {
        let found = frequencies(&readings(&[(1000, 2), (3000, 2), (45000, 2)]), PIT_HZ).unwrap();
        assert_near(found.tsc_hz, TSC_HZ, 100);
    }

    #[test]
    fn an_odd_frequency_is_not_rounded_beyond_the_doubt() {
        let found = frequencies(&readings(&[(0, 0), (50000, 0)]), PIT_HZ).unwrap();
        assert_near(found.tsc_hz, TSC_HZ, 34);
    }

    #[test]
    fn a_reference_clock_that_stands_still_gives_nothing() {
        let mut stuck = readings(&[(1000, 2), (3000, 2)]);
        stuck[1].reference = stuck[0].reference;
        assert!(frequencies(&stuck, PIT_HZ).is_none());
        assert!(frequencies(&stuck[..1], PIT_HZ).is_none());
    }
}
