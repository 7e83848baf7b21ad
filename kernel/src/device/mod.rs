//! Devices: serial lines, screen and keyboard, the console made of them, and the way to switch the machine off.

pub mod console;
pub mod input;
mod io_apic;
mod keyboard;
pub mod log;
pub mod power;
pub mod screen;
pub mod serial;

pub use io_apic::ADDRESS as IO_APIC_ADDRESS;
