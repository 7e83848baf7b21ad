//! The console: what programs and people read and write.

use core::fmt::{self, Write};

use proc::file::LineQueue;

use super::line_buffer::LineBuffer;
use super::{input, io_apic, screen, serial};
use crate::trap::interrupt::{KEYBOARD_VECTOR, SERIAL_VECTOR};

/// ISA interrupt lines.
const KEYBOARD_LINE: u8 = 1;
const SERIAL_LINE: u8 = 4;

/// The console as the file system sees it.
struct ConsoleFile;

impl proc::file::Console for ConsoleFile {
    fn write(&self, bytes: &[u8]) {
        write(bytes);
    }

    fn lines(&self) -> &LineQueue {
        &input::LINES
    }
}

/// Makes the console a file, and lets its devices interrupt the boot CPU.
///
/// Needs: the heap, the vectors, the scheduler.
///
/// # Panics
/// There is no memory for the line that is typed.
pub(crate) fn init() {
    screen::init();
    input::init().expect("memory for a line");
    proc::file::install_console(&ConsoleFile);
    proc::sched::pending::set_device_work(input::serve_devices);
    let boot_cpu = smp::apic::id();
    io_apic::route(SERIAL_LINE, SERIAL_VECTOR, boot_cpu);
    io_apic::route(KEYBOARD_LINE, KEYBOARD_VECTOR, boot_cpu);
    serial::enable_console_interrupts();
}

/// Writes bytes; a line feed begins a new line.
pub(crate) fn write(bytes: &[u8]) {
    serial::write_console(bytes);
    if serial::is_alone() {
        screen::write_alone(bytes);
    } else {
        screen::write(bytes);
    }
}

/// Puts bytes into one row of the screen, in the colours of `attribute`, and lets a terminal at the serial line do the
/// same. Where other text goes on does not change.
pub(crate) fn put(row: usize, column: usize, attribute: u8, bytes: &[u8]) {
    screen::put(row, column, attribute, bytes);
    LineBuffer::write(
        format_args!(
            "{}",
            Placed {
                row,
                column,
                attribute,
                bytes
            }
        ),
        serial::write_console,
    );
}

/// Text at a place, as terminals are told.
struct Placed<'a> {
    row: usize,
    column: usize,
    attribute: u8,
    bytes: &'a [u8],
}

impl fmt::Display for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The PC's colours have blue in the lowest bit, terminals have red there.
        const TERMINAL_COLOURS: [u8; 8] = [0, 4, 2, 6, 1, 5, 3, 7];
        let colour = |bits: u8| TERMINAL_COLOURS[usize::from(bits & 7)];
        let brightness = if self.attribute & 8 != 0 { 90 } else { 30 };
        let (foreground, background) = (
            brightness + colour(self.attribute),
            40 + colour(self.attribute >> 4),
        );
        let (row, column) = (self.row + 1, self.column + 1);
        write!(
            f,
            "\x1b7\x1b[{row};{column}H\x1b[{foreground};{background}m"
        )?;
        for &byte in self.bytes {
            let is_shown = byte == b' ' || byte.is_ascii_graphic();
            f.write_char(if is_shown { byte as char } else { '?' })?;
        }
        f.write_str("\x1b[0m\x1b8")
    }
}

/// A writer of whole lines, for messages of the kernel that are made piece by piece.
pub(crate) fn lines() -> impl fmt::Write {
    LineBuffer::new(write)
}

/// Writes a message of the kernel itself.
pub(crate) fn message(text: fmt::Arguments<'_>) {
    LineBuffer::write(text, write);
}

/// Writes a line, made as by `format!`, as a message of the kernel itself.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::device::console::message(format_args!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use say;
