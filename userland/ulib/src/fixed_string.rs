//! Strings of bounded length that live where they are declared, so that building one needs no heap.

use core::fmt::{self, Write};

/// A string of at most `CAPACITY` bytes. Writing more than fits fails, and leaves what fitted.
pub struct FixedString<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl<const CAPACITY: usize> FixedString<CAPACITY> {
    /// An empty string.
    pub const fn new() -> FixedString<CAPACITY> {
        FixedString {
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    /// A string with `text`, cut after the last character that fits.
    pub fn from_text(text: &str) -> FixedString<CAPACITY> {
        let mut string = FixedString::new();
        let fitting = text
            .get(..text.floor_char_boundary(CAPACITY))
            .unwrap_or_default();
        // Cut to fit.
        let _ = string.write_str(fitting);
        string
    }

    /// What has been written.
    pub fn as_str(&self) -> &str {
        // Only whole `str`s are written.
        str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }
}

impl<const CAPACITY: usize> Default for FixedString<CAPACITY> {
    fn default() -> FixedString<CAPACITY> {
        FixedString::new()
    }
}

impl<const CAPACITY: usize> Write for FixedString<CAPACITY> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.bytes.get_mut(self.len..).unwrap_or_default();
        free.get_mut(..text.len())
            .ok_or(fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FixedString;
    use core::fmt::Write;

    #[test]
    fn what_fits_is_kept_and_what_does_not_is_an_error() {
        let mut text = FixedString::<8>::new();
        assert!(write!(text, "{}-abc", 12).is_ok());
        assert!(write!(text, "xyz").is_err());
        assert!(write!(text, "xy").is_ok());
        assert_eq!(text.as_str(), "12-abcxy");
    }
}
