//! Devices: serial lines, screen and keyboard, the console made of them, and the way to switch the machine off.

pub(crate) mod console;
pub(crate) mod input;
pub(crate) mod io_apic;
mod keyboard;
mod line_buffer;
mod line_editor;
pub(crate) mod line_history;
pub(crate) mod log;
pub(crate) mod power;
pub(crate) mod screen;
pub(crate) mod serial;
