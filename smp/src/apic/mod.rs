//! The local APIC: one for each CPU, by which it gets its interrupts, sends some to others, and has a timer.
//!
//! There are two ways to speak to it. In *x2APIC* mode the registers are MSRs, ids have 32 bits and one command reaches
//! up to 16 CPUs; in *xAPIC* mode they are memory and ids have 8 bits. The boot CPU chooses (`init_boot_cpu`), and all
//! CPUs use the same.
//!
//! The `x2apic` crate switches x2APIC mode on (module `set_up`). What the running kernel does often (end of interrupt,
//! commands, the timer) is written here directly: a handful of instructions, where the crate goes through an object of
//! forty register descriptions, and its command register is right in x2APIC mode only.

#[cfg(any(target_os = "none", test))]
mod command;
#[cfg(not(target_os = "none"))]
mod host;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod set_up;

#[cfg(not(target_os = "none"))]
pub use self::host::{end_of_interrupt, start_timer_ns, stop_timer};
#[cfg(not(target_os = "none"))]
pub(crate) use self::host::{send_fixed, send_fixed_to_all, send_nmi};
#[cfg(target_os = "none")]
pub use self::machine::{end_of_interrupt, id, largest_id, mode, start_timer_ns, stop_timer};
#[cfg(target_os = "none")]
pub(crate) use self::machine::{
    send_fixed, send_fixed_to_all, send_init, send_nmi, send_start_up, set_timer_frequency,
};
#[cfg(target_os = "none")]
pub use self::set_up::{init_boot_cpu, init_cpu};
#[cfg(target_os = "none")]
pub(crate) use self::set_up::{measured_ticks, start_timer_for_measuring};

/// How the local APICs are spoken to.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum ApicMode {
    /// Registers in memory, 8-bit ids.
    XApic,
    /// Registers as MSRs, 32-bit ids.
    X2Apic,
}
