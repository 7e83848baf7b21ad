//! Formatted text line by line, so that lines of several CPUs do not mix.

use core::fmt::{self, Write};

/// The longest line that goes out in one piece.
pub(super) const CAPACITY: usize = 240;

/// Collects text and hands it on line by line, longer ones in pieces of 240 bytes.
pub(super) struct LineBuffer {
    bytes: [u8; CAPACITY],
    len: usize,
    hand_on: fn(&[u8]),
}

impl LineBuffer {
    /// A buffer that hands lines to `hand_on`. What is behind the last line feed stays in it.
    pub(super) fn new(hand_on: fn(&[u8])) -> LineBuffer {
        LineBuffer {
            bytes: [0; CAPACITY],
            len: 0,
            hand_on,
        }
    }

    /// Formats `text` and hands it to `hand_on`.
    pub(super) fn write(text: fmt::Arguments<'_>, hand_on: fn(&[u8])) {
        let mut buffer = LineBuffer::new(hand_on);
        // Writing to the buffer cannot fail.
        let _ = buffer.write_fmt(text);
        if buffer.len > 0 {
            buffer.flush();
        }
    }

    fn flush(&mut self) {
        (self.hand_on)(&self.bytes[..self.len]);
        self.len = 0;
    }
}

impl Write for LineBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == CAPACITY {
                self.flush();
            }
            self.bytes[self.len] = byte;
            self.len += 1;
            if byte == b'\n' {
                self.flush();
            }
        }
        Ok(())
    }
}
