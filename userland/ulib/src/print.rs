//! Printing to the standard output and the standard error output, a line in one `write`.

use core::fmt::{self, Write};

use abi::Errno;

use crate::file;
use crate::line::LineBuffer;

/// Prints to descriptor `fd`. An output that is closed or full swallows it; a signal does not.
pub fn to_descriptor(fd: i32, text: fmt::Arguments<'_>) {
    let mut line = LineBuffer::new(|piece| write_whatever_comes(fd, piece));
    // The buffer itself never fails; a `Display` that does has said what it could.
    let _ = line.write_fmt(text);
}

fn write_whatever_comes(fd: i32, mut rest: &[u8]) {
    while !rest.is_empty() {
        match file::write(fd, rest) {
            Ok(len @ 1..) => rest = rest.get(len..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Prints to the standard output.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::print::to_descriptor(1, ::core::format_args!($($argument)*)) };
}

/// Prints a line to the standard output.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($format:literal $($argument:tt)*) => { $crate::print!("{}\n", ::core::format_args!($format $($argument)*)) };
}

/// Prints a line to the standard error output.
#[macro_export]
macro_rules! eprintln {
    ($format:literal $($argument:tt)*) => {
        $crate::print::to_descriptor(2, ::core::format_args!("{}\n", ::core::format_args!($format $($argument)*)))
    };
}
