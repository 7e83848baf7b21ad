//! The console: what programs and people read and write.

use core::fmt::{self, Write};

use super::serial;

struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

/// Writes bytes; a line feed begins a new line.
pub fn write(bytes: &[u8]) {
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line.split_last() {
            Some((b'\n', text)) => {
                serial::write_console(text);
                serial::write_console(b"\r\n");
            }
            _ => serial::write_console(line),
        }
    }
}

/// Writes a message of the kernel itself.
pub fn message(text: fmt::Arguments<'_>) {
    // Writing to the console cannot fail.
    let _ = Output.write_fmt(text);
}
