//! Numbers in digits, without sign and what fills them up.

use core::fmt;

/// Octal has the most digits: one for each three bits.
const DIGITS_MAX: usize = 64_usize.div_ceil(3);

/// The digits of a number.
pub(crate) struct Digits {
    places: [u8; DIGITS_MAX],
    start: usize,
}

impl Digits {
    pub(crate) fn of(value: u64, base: u64, is_upper: bool) -> Digits {
        let mut digits = Digits {
            places: [b'0'; DIGITS_MAX],
            start: DIGITS_MAX,
        };
        let mut rest = value;
        for (at, place) in digits.places.iter_mut().enumerate().rev() {
            // A digit is below 16.
            *place = match (rest % base) as u8 {
                digit @ 0..=9 => b'0' + digit,
                digit if is_upper => b'A' + digit - 10,
                digit => b'a' + digit - 10,
            };
            digits.start = at;
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        digits
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.places.get(self.start..).unwrap_or_default()
    }
}

/// A number without its sign.
pub(crate) struct Magnitude {
    pub(crate) value: f64,
    pub(crate) precision: usize,
    /// Whether there is a point also where no digit follows.
    pub(crate) has_point: bool,
}

impl fmt::Display for Magnitude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_nan() {
            return f.write_str("nan");
        }
        write!(f, "{:.*}", self.precision, self.value)?;
        if self.has_point && self.precision == 0 && self.value.is_finite() {
            f.write_str(".")?;
        }
        Ok(())
    }
}
