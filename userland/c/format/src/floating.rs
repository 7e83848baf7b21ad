//! Numbers with a fraction, without sign and what fills them up: `%f`, `%e` and `%g`.
//!
//! `core` rounds and finds the digits; here they get C's point, zeros and exponent.

use core::fmt::{self, Write};

/// How a number is written.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// `%f`: all digits before the point.
    Fixed,
    /// `%e`: one digit before the point, and an exponent.
    Exponent,
    /// `%g`: as the one or the other, whichever suits the number, without zeros at the end.
    Shorter,
}

/// A number without its sign.
pub(crate) struct Magnitude {
    pub(crate) value: f64,
    pub(crate) form: Form,
    pub(crate) precision: usize,
    /// The flag `#`: there is a point also where no digit follows, and zeros at the end stay.
    pub(crate) keeps_point: bool,
    pub(crate) is_upper: bool,
}

impl fmt::Display for Magnitude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.value.is_finite() {
            return f.write_str(match (self.value.is_nan(), self.is_upper) {
                (true, false) => "nan",
                (true, true) => "NAN",
                (false, false) => "inf",
                (false, true) => "INF",
            });
        }
        match self.form {
            Form::Fixed => self.fixed(f, self.precision, true),
            Form::Exponent => self.with_exponent(f, self.precision, true),
            Form::Shorter => {
                // C counts all digits here, and core those behind the point.
                let precision = self.precision.max(1) - 1;
                let exponent = self.exponent(precision)?;
                match usize::try_from(i64::from(exponent) + 4) {
                    Ok(above_least) if above_least <= precision + 4 => {
                        self.fixed(f, precision + 4 - above_least, self.keeps_point)
                    }
                    _ => self.with_exponent(f, precision, self.keeps_point),
                }
            }
        }
    }
}

impl Magnitude {
    fn fixed(&self, f: &mut dyn Write, precision: usize, keeps_zeros: bool) -> fmt::Result {
        let mut digits = Decimal::new(f, keeps_zeros);
        write!(digits, "{:.*}", precision, self.value)?;
        digits.end_with_point(self.keeps_point).map(drop)
    }

    fn with_exponent(&self, f: &mut dyn Write, precision: usize, keeps_zeros: bool) -> fmt::Result {
        let mut digits = Decimal::new(f, keeps_zeros);
        write!(digits, "{:.*e}", precision, self.value)?;
        let exponent = digits.end_with_point(self.keeps_point)?;
        let letter = if self.is_upper { 'E' } else { 'e' };
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{letter}{sign}{:02}", exponent.unsigned_abs())
    }

    /// The exponent that the number has when it is rounded to so many digits behind the point.
    fn exponent(&self, precision: usize) -> Result<i32, fmt::Error> {
        let mut nowhere = Nowhere;
        let mut digits = Decimal::new(&mut nowhere, true);
        write!(digits, "{:.*e}", precision, self.value)?;
        digits.end_with_point(false)
    }
}

struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Passes on the digits and the point of what `core` writes, and keeps its exponent.
struct Decimal<'a> {
    output: &'a mut dyn Write,
    /// Zeros at the end, and the point before them, are passed on.
    keeps_zeros: bool,
    has_point: bool,
    /// There is a point that has not been passed on, since nothing but zeros has followed.
    holds_point: bool,
    held_zeros: usize,
    is_in_exponent: bool,
    is_negative: bool,
    exponent: i32,
}

impl<'a> Decimal<'a> {
    fn new(output: &'a mut dyn Write, keeps_zeros: bool) -> Decimal<'a> {
        Decimal {
            output,
            keeps_zeros,
            has_point: false,
            holds_point: false,
            held_zeros: 0,
            is_in_exponent: false,
            is_negative: false,
            exponent: 0,
        }
    }

    fn pass_held(&mut self) -> fmt::Result {
        if core::mem::take(&mut self.holds_point) {
            self.output.write_char('.')?;
        }
        (0..core::mem::take(&mut self.held_zeros)).try_for_each(|_| self.output.write_char('0'))
    }

    /// The number has been written. Adds a point if there is none and `wants_point`; returns the exponent.
    fn end_with_point(mut self, wants_point: bool) -> Result<i32, fmt::Error> {
        if self.keeps_zeros {
            self.pass_held()?;
        }
        if wants_point && !self.has_point {
            self.output.write_char('.')?;
        }
        Ok(if self.is_negative {
            -self.exponent
        } else {
            self.exponent
        })
    }
}

impl Write for Decimal<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'e' => self.is_in_exponent = true,
                b'-' => self.is_negative = true,
                digit if self.is_in_exponent => {
                    self.exponent = self.exponent * 10 + i32::from(digit - b'0');
                }
                b'.' => (self.has_point, self.holds_point) = (true, true),
                b'0' if self.has_point => self.held_zeros += 1,
                digit => {
                    self.pass_held()?;
                    self.output.write_char(char::from(digit))?;
                }
            }
        }
        Ok(())
    }
}
