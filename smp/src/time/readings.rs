//! Taking readings of the clocks, on a machine that may be away at any moment for any time.
//!
//! The reference clock goes round after a while (55 ms): a virtual CPU that its host leaves alone for so long finds
//! that it has, and begins again. What was read before is good all the same, and on a busy host it may be all that
//! there is.

use super::calibration::{Frequencies, Reading, frequencies};

/// The clocks of a machine.
pub(super) trait Clocks {
    /// Ticks of the reference clock in a second.
    fn reference_hz(&self) -> u64;
    /// Starts the reference clock, and the APIC timer anew.
    fn start(&self);
    /// Ticks of the reference clock since then; `None` once it has gone round.
    fn reference(&self) -> Option<u64>;
    /// The time-stamp counter.
    fn counter(&self) -> u64;
    /// Ticks of the APIC timer.
    fn apic_ticks(&self) -> u64;
}

const READINGS: usize = 6;
/// The distance of readings: 10 ms in all.
const DISTANCE_US: u64 = 2000;
/// How often to try for a good measurement.
const ATTEMPTS: usize = 10;
/// How often to try for any.
const ATTEMPTS_AT_MOST: usize = 1000;
/// A better measurement is not worth another 10 ms. A quiet emulator comes to some 300.
const GOOD_ENOUGH_PER_MILLION: u64 = 500;
/// Of looks that follow each other at once, the quickest counts.
const LOOKS: usize = 3;
/// A clock that stands still shows by the number of looks: even a fast one takes thousands of cycles for 2 ms.
const LOOKS_AT_MOST: u32 = 50_000_000;

const US_PER_SECOND: u64 = 1_000_000;

/// Why there are no more readings.
enum Lost {
    /// The reference clock has gone round.
    WentRound,
    /// It does not move.
    StandsStill,
}

/// The best measurement of several. `None` if the reference clock stands still or the machine is never there for long
/// enough.
pub(super) fn measure(clocks: &impl Clocks) -> Option<Frequencies> {
    let mut best: Option<Frequencies> = None;
    for attempt in 1..=ATTEMPTS_AT_MOST {
        clocks.start();
        let mut readings = Readings::new();
        if let Err(Lost::StandsStill) = readings.take(clocks) {
            return None;
        }
        let found = frequencies(readings.taken(), clocks.reference_hz());
        best = [best, found]
            .into_iter()
            .flatten()
            .min_by_key(|found| found.doubt_per_million);
        let is_good = best.is_some_and(|best| best.doubt_per_million <= GOOD_ENOUGH_PER_MILLION);
        if is_good || (best.is_some() && attempt >= ATTEMPTS) {
            break;
        }
    }
    best
}

/// Readings at equal distances.
struct Readings {
    readings: [Reading; READINGS],
    count: usize,
}

impl Readings {
    fn new() -> Readings {
        let nothing = Reading {
            tsc_before: 0,
            tsc_after: 0,
            reference: 0,
            apic: 0,
        };
        Readings {
            readings: [nothing; READINGS],
            count: 0,
        }
    }

    fn taken(&self) -> &[Reading] {
        &self.readings[..self.count]
    }

    /// Takes them, until the reference clock is lost.
    fn take(&mut self, clocks: &impl Clocks) -> Result<(), Lost> {
        let distance = DISTANCE_US * clocks.reference_hz() / US_PER_SECOND;
        let mut due = 0;
        for place in &mut self.readings {
            wait_until(clocks, due)?;
            *place = read(clocks)?;
            due = place.reference + distance;
            self.count += 1;
        }
        Ok(())
    }
}

fn wait_until(clocks: &impl Clocks, due: u64) -> Result<(), Lost> {
    for _ in 0..LOOKS_AT_MOST {
        if clocks.reference().ok_or(Lost::WentRound)? >= due {
            return Ok(());
        }
        core::hint::spin_loop();
    }
    Err(Lost::StandsStill)
}

fn read(clocks: &impl Clocks) -> Result<Reading, Lost> {
    let look = || {
        let tsc_before = clocks.counter();
        let reference = clocks.reference()?;
        let apic = clocks.apic_ticks();
        Some(Reading {
            tsc_before,
            tsc_after: clocks.counter(),
            reference,
            apic,
        })
    };
    let mut quickest = look().ok_or(Lost::WentRound)?;
    for _ in 1..LOOKS {
        let next = look().ok_or(Lost::WentRound)?;
        if next.tsc_after - next.tsc_before < quickest.tsc_after - quickest.tsc_before {
            quickest = next;
        }
    }
    Ok(quickest)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::{Clocks, measure};

    const PIT_HZ: u64 = 1_193_182;
    const ROUND_US: u64 = 55_000;

    /// A machine on a host that lets it run for `runs_us` and then leaves it alone for `away_us`, again and again. Each
    /// look at a clock takes a microsecond.
    struct Machine {
        runs_us: u64,
        away_us: u64,
        now_us: Cell<u64>,
        started_us: Cell<u64>,
    }

    impl Machine {
        fn new(runs_us: u64, away_us: u64) -> Machine {
            Machine {
                runs_us,
                away_us,
                now_us: Cell::new(0),
                started_us: Cell::new(0),
            }
        }

        fn look(&self) -> u64 {
            let mut now_us = self.now_us.get() + 1;
            if now_us % (self.runs_us + self.away_us) >= self.runs_us {
                now_us += self.away_us;
            }
            self.now_us.set(now_us);
            now_us
        }
    }

    impl Clocks for Machine {
        fn reference_hz(&self) -> u64 {
            PIT_HZ
        }

        fn start(&self) {
            self.started_us.set(self.look());
        }

        fn reference(&self) -> Option<u64> {
            let since_us = self.look() - self.started_us.get();
            (since_us < ROUND_US).then_some(since_us * PIT_HZ / 1_000_000)
        }

        fn counter(&self) -> u64 {
            self.look() * 3000
        }

        fn apic_ticks(&self) -> u64 {
            self.look() * 1000
        }
    }

    #[track_caller]
    fn assert_measured(runs_us: u64, away_us: u64) {
        let found = measure(&Machine::new(runs_us, away_us)).expect("a measurement");
        for (found, expected) in [
            (found.tsc_hz, 3_000_000_000),
            (found.apic_hz, 1_000_000_000),
        ] {
            let error_per_million = found.abs_diff(expected) * 1_000_000 / expected;
            assert!(error_per_million < 2000, "{found} instead of {expected}");
        }
    }

    #[test]
    fn a_quiet_machine_is_measured() {
        assert_measured(1_000_000_000, 0);
    }

    #[test]
    fn a_machine_that_is_away_until_the_clock_has_gone_round_is_measured_by_what_was_read_before() {
        for runs_us in [3000, 4500, 9000] {
            assert_measured(runs_us, 80_000);
        }
    }

    #[test]
    fn a_machine_that_is_hardly_ever_there_is_not_measured() {
        assert!(measure(&Machine::new(500, 80_000)).is_none());
    }
}
