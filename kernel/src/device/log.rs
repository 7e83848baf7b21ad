//! The kernel log: lines on the second serial line, each with the time.

use core::fmt;

use super::line_buffer::LineBuffer;
use super::serial;

/// Makes the serial line the sink of `log!`.
pub(crate) fn init() {
    smp::log::set_sink(write_line);
}

fn write_line(line: fmt::Arguments<'_>) {
    let now_us = smp::time::now_ns() / 1000;
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    LineBuffer::write(
        format_args!("[{seconds:4}.{micros:06}] {line}\n"),
        serial::write_log,
    );
}

/// Writes a protocol line, which has no time in front.
pub(crate) fn write_protocol_line<M: fmt::Display>(line: &protocol::Line<M>) {
    LineBuffer::write(format_args!("{line}\n"), serial::write_log);
}
