//! The kernel log: lines on the second serial line, each with the time.

use core::fmt::{self, Write};

use super::serial;

/// Collects a line, so that lines of several CPUs do not mix. Longer lines go out in pieces.
struct LineBuffer {
    bytes: [u8; 240],
    len: usize,
}

impl LineBuffer {
    fn flush(&mut self) {
        serial::write_log(&self.bytes[..self.len]);
        self.len = 0;
    }
}

impl Write for LineBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Makes the serial line the sink of `log!`.
pub(crate) fn init() {
    smp::log::set_sink(write_line);
}

fn write_line(line: fmt::Arguments<'_>) {
    let mut buffer = LineBuffer {
        bytes: [0; 240],
        len: 0,
    };
    let now_us = smp::time::now_ns() / 1000;
    // Writing to the buffer cannot fail.
    let _ = writeln!(
        buffer,
        "[{:4}.{:06}] {line}",
        now_us / 1_000_000,
        now_us % 1_000_000
    );
    buffer.flush();
}

/// Writes a protocol line, which has no time in front.
pub(crate) fn write_protocol_line<M: fmt::Display>(line: &protocol::Line<M>) {
    let mut buffer = LineBuffer {
        bytes: [0; 240],
        len: 0,
    };
    let _ = writeln!(buffer, "{line}");
    buffer.flush();
}
