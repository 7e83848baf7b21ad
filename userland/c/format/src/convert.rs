//! One conversion: an argument becomes its characters, with what fills it up to its width.

use core::fmt::{self, Write};

use crate::digits::Digits;
use crate::floating::{Form, Magnitude};
use crate::specification::{Count, Flags, Length, Specification};
use crate::{Output, VaList};

/// More is cut, so that a mistake does not print for ever: C promises no more than 4095 characters for a conversion.
const COUNT_MAX: usize = 1 << 16;

/// Passes bytes on and counts them.
pub(crate) struct Converter<'a> {
    output: &'a mut dyn Output,
    len: usize,
}

/// A specification whose `*` have been looked up.
struct Layout {
    flags: Flags,
    width: usize,
    precision: Option<usize>,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(output: &'a mut dyn Output) -> Converter<'a> {
        Converter { output, len: 0 }
    }

    /// How many bytes have been passed on.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.output.put(bytes);
        self.len += bytes.len();
    }

    fn repeat(&mut self, byte: u8, count: usize) {
        (0..count).for_each(|_| self.put(&[byte]));
    }

    /// # Safety
    /// As for [`format`](crate::format).
    pub(crate) unsafe fn convert(
        &mut self,
        specification: &Specification<'_>,
        arguments: &mut VaList,
    ) {
        let length = specification.length;
        if !b"diuoxXcspfFeEgGC".contains(&specification.conversion) {
            let is_percent = specification.conversion == b'%';
            return self.put(if is_percent {
                b"%"
            } else {
                specification.source
            });
        }
        // SAFETY: for all of them, by the caller's word: 1 gives the arguments, 2 the string.
        unsafe {
            let layout = Layout::of(specification, arguments);
            match specification.conversion {
                b'd' | b'i' => self.signed(&layout, length.signed(arguments.next_word())),
                b'c' => self.text(&layout, &[arguments.next_word() as u8]),
                b's' => {
                    let string = string_at(arguments.next_word(), layout.precision);
                    self.text(&layout, string);
                }
                b'p' => {
                    let address = arguments.next_word();
                    let digits = Digits::of(address, 16, false);
                    self.number(&layout, b"0x", digits.as_bytes(), false);
                }
                b'C' => self.output.set_colour(arguments.next_word() as i32),
                conversion @ (b'f' | b'F' | b'e' | b'E' | b'g' | b'G') => {
                    self.double(&layout, conversion, arguments.next_double());
                }
                conversion => {
                    let value = length.unsigned(arguments.next_word());
                    self.unsigned(&layout, conversion, value);
                }
            }
        }
    }

    fn signed(&mut self, layout: &Layout, value: i64) {
        let digits = Digits::of(value.unsigned_abs(), 10, false);
        self.number(
            layout,
            layout.flags.sign(value < 0),
            digits.as_bytes(),
            false,
        );
    }

    fn unsigned(&mut self, layout: &Layout, conversion: u8, value: u64) {
        let (base, prefix): (u64, &[u8]) = match conversion {
            b'o' => (8, b""),
            b'x' => (16, b"0x"),
            b'X' => (16, b"0X"),
            _ => (10, b""),
        };
        let marks_base = layout.flags.hash;
        let prefix = if marks_base && value != 0 {
            prefix
        } else {
            b""
        };
        let digits = Digits::of(value, base, conversion == b'X');
        self.number(layout, prefix, digits.as_bytes(), marks_base && base == 8);
    }

    /// Digits with what goes before them, filled up with zeros to the precision, or instead to the width. What
    /// `begins_with_zero` gets one if it has none.
    fn number(&mut self, layout: &Layout, prefix: &[u8], digits: &[u8], begins_with_zero: bool) {
        // Zero with a precision of 0 has no digit.
        let digits = if layout.precision == Some(0) && digits == b"0" {
            b""
        } else {
            digits
        };
        let len = prefix.len() + digits.len();
        let mut zeros = match layout.precision {
            Some(precision) => precision.saturating_sub(digits.len()),
            None if layout.fills_with_zeros() => layout.width.saturating_sub(len),
            None => 0,
        };
        if begins_with_zero && digits.first() != Some(&b'0') {
            zeros = zeros.max(1);
        }
        let blanks = layout.width.saturating_sub(len + zeros);
        self.fill(blanks, !layout.flags.minus);
        self.put(prefix);
        self.repeat(b'0', zeros);
        self.put(digits);
        self.fill(blanks, layout.flags.minus);
    }

    fn text(&mut self, layout: &Layout, text: &[u8]) {
        let blanks = layout.width.saturating_sub(text.len());
        self.fill(blanks, !layout.flags.minus);
        self.put(text);
        self.fill(blanks, layout.flags.minus);
    }

    fn double(&mut self, layout: &Layout, conversion: u8, value: f64) {
        let sign = layout.flags.sign(value.is_sign_negative());
        let magnitude = Magnitude {
            value: value.abs(),
            form: match conversion {
                b'e' | b'E' => Form::Exponent,
                b'g' | b'G' => Form::Shorter,
                _ => Form::Fixed,
            },
            precision: layout.precision.unwrap_or(6),
            keeps_point: layout.flags.hash,
            is_upper: conversion.is_ascii_uppercase(),
        };
        let mut counter = Counter(0);
        // Neither of the two can fail.
        let _ = write!(counter, "{magnitude}");
        let missing = layout.width.saturating_sub(sign.len() + counter.0);
        let is_filled = layout.fills_with_zeros() && value.is_finite();
        let (zeros, blanks) = if is_filled {
            (missing, 0)
        } else {
            (0, missing)
        };
        self.fill(blanks, !layout.flags.minus);
        self.put(sign);
        self.repeat(b'0', zeros);
        let _ = write!(self, "{magnitude}");
        self.fill(blanks, layout.flags.minus);
    }

    fn fill(&mut self, blanks: usize, is_here: bool) {
        if is_here {
            self.repeat(b' ', blanks);
        }
    }
}

impl Write for Converter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Layout {
    /// # Safety
    /// For each `*` there is an argument, an `int`.
    unsafe fn of(specification: &Specification<'_>, arguments: &mut VaList) -> Layout {
        let mut look_up = |count| match count {
            Count::None => None,
            Count::Is(count) => i64::try_from(count).ok(),
            // SAFETY: by the caller's word.
            Count::Argument => Some(Length::Int.signed(unsafe { arguments.next_word() })),
        };
        let mut flags = specification.flags;
        let width = look_up(specification.width).unwrap_or(0);
        let precision = look_up(specification.precision);
        // A negative width is the flag `-` and a width, a negative precision none.
        flags.minus |= width < 0;
        let bounded = |count: u64| (count as usize).min(COUNT_MAX);
        Layout {
            flags,
            width: bounded(width.unsigned_abs()),
            precision: precision
                .and_then(|wanted| u64::try_from(wanted).ok())
                .map(bounded),
        }
    }

    fn fills_with_zeros(&self) -> bool {
        self.flags.zero && !self.flags.minus
    }
}

impl Flags {
    /// What stands before a number with a sign.
    fn sign(self, is_negative: bool) -> &'static [u8] {
        match self {
            _ if is_negative => b"-",
            Flags { plus: true, .. } => b"+",
            Flags { space: true, .. } => b" ",
            _ => b"",
        }
    }
}

impl Length {
    /// The argument in `word`, whose upper bits have no meaning.
    fn signed(self, word: u64) -> i64 {
        match self {
            Length::Char => i64::from(word as i8),
            Length::Short => i64::from(word as i16),
            Length::Int => i64::from(word as i32),
            Length::Long => word as i64,
        }
    }

    /// As [`Length::signed`].
    fn unsigned(self, word: u64) -> u64 {
        match self {
            Length::Char => u64::from(word as u8),
            Length::Short => u64::from(word as u16),
            Length::Int => u64::from(word as u32),
            Length::Long => word,
        }
    }
}

/// The string at `address`, up to its NUL or the precision.
///
/// # Safety
/// There is one, or `address` is 0.
unsafe fn string_at(address: u64, precision: Option<usize>) -> &'static [u8] {
    let limit = precision.unwrap_or(usize::MAX);
    let start = address as *const u8;
    if start.is_null() {
        let text = b"(null)";
        return text.get(..limit.min(text.len())).unwrap_or_default();
    }
    // SAFETY: for both, the caller's word: what is read lies before the NUL or the limit.
    unsafe {
        let mut len = 0;
        while len < limit && start.add(len).read() != 0 {
            len += 1;
        }
        core::slice::from_raw_parts(start, len)
    }
}

/// How long a text is that is written to it.
struct Counter(usize);

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
