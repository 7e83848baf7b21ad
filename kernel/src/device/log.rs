//! The kernel log: lines on the second serial line, each with the time.
//!
//! The guarantee: only the kernel writes protocol lines, whatever a message quotes from a program. What follows a line
//! feed in a message, and what is too long for a line, is indented, so it never begins a line; and a line goes out in
//! one piece.

use core::fmt::{self, Write};

use super::line_buffer::{self, LineBuffer};
use super::serial;

/// What goes before the lines of a message after its first.
const INDENTATION: &str = "  ";
/// How much of a message goes on one line; the time, the indentation and the line feed need room, too.
const LINE_MAX: usize = line_buffer::CAPACITY - 40;

/// Makes the serial line the sink of `log!`.
pub(crate) fn init() {
    smp::log::set_sink(write_line);
}

fn write_line(line: fmt::Arguments<'_>) {
    let now_us = smp::time::now_ns() / 1000;
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    let message = Message(line);
    LineBuffer::write(
        format_args!("[{seconds:4}.{micros:06}] {message}\n"),
        serial::write_log,
    );
}

/// A message on as many lines as it needs.
struct Message<'a>(fmt::Arguments<'a>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Indenter { formatter, len: 0 }.write_fmt(self.0)
    }
}

struct Indenter<'a, 'b> {
    formatter: &'a mut fmt::Formatter<'b>,
    /// Bytes of the message on this line.
    len: usize,
}

impl Write for Indenter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            let char_len = char.len_utf8();
            if char == '\n' || self.len + char_len > LINE_MAX {
                self.formatter.write_char('\n')?;
                self.formatter.write_str(INDENTATION)?;
                self.len = 0;
            }
            if char != '\n' {
                self.formatter.write_char(char)?;
                self.len += char_len;
            }
        }
        Ok(())
    }
}

/// Writes a protocol line, which has no time in front.
pub(crate) fn write_protocol_line<M: fmt::Display>(line: &protocol::Line<M>) {
    LineBuffer::write(format_args!("{line}\n"), serial::write_log);
}
