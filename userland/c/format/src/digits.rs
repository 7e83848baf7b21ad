//! Whole numbers in digits, without sign and what fills them up.

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
