//! Conversion between counts of two clocks, by one multiplication.

/// A ratio as a fixed-point number with 32 fractional bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Scale(u64);

impl Scale {
    const FRACTION_BITS: u32 = 32;

    /// From counts of a clock with frequency `from_hz` (not 0) to counts of one with `to_hz`.
    pub(crate) const fn new(from_hz: u64, to_hz: u64) -> Scale {
        Scale((((to_hz as u128) << Self::FRACTION_BITS) / from_hz as u128) as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Scale {
        Scale(bits)
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// Converts `count`. The result must fit: counts of seconds to centuries do.
    #[inline(always)]
    pub(crate) const fn apply(self, count: u64) -> u64 {
        ((count as u128 * self.0 as u128) >> Self::FRACTION_BITS) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn equal_clocks_convert_exactly() {
        let scale = Scale::new(1_000_000_000, 1_000_000_000);
        assert_eq!(scale.apply(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_scale_kept_as_bits_converts_the_same() {
        let scale = Scale::new(3_579_545, 1_000_000_000);
        assert_eq!(
            Scale::from_bits(scale.to_bits()).apply(3_579_545),
            scale.apply(3_579_545)
        );
        assert_eq!(
            Scale::from_bits(0).apply(u64::MAX),
            0,
            "what is not known yet"
        );
    }

    #[test]
    fn a_century_converts_without_overflow_to_within_a_second() {
        const CENTURY_S: u64 = 100 * 365 * 86_400;
        let to_ns = Scale::new(2_899_886_000, 1_000_000_000);
        let error_ns = to_ns
            .apply(CENTURY_S * 2_899_886_000)
            .abs_diff(CENTURY_S * 1_000_000_000);
        assert!(error_ns < 3_000_000_000, "{error_ns} ns off");
    }
}
