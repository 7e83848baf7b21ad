//! Devices: serial lines, screen and keyboard, the console made of them, and the way to switch the machine off.

pub(crate) mod console;
pub(crate) mod input;
pub(crate) mod io_apic;
mod keyboard;
mod line_buffer;
pub(crate) mod log;
pub(crate) mod power;
pub(crate) mod screen;
pub(crate) mod serial;
