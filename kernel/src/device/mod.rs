//! Devices: serial lines, the console made of them, and the way to switch the machine off.

pub mod console;
pub mod io_apic;
pub mod log;
pub mod power;
pub mod serial;
