//! The console: what programs and people read and write.

use core::fmt;

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
/// Needs: the vectors, the scheduler.
pub(crate) fn init() {
    screen::init();
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
