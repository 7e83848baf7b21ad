//! The hardware that the logic of this crate touches, and its stand-in on the host. Everything else is plain Rust.
//!
//! Both sides offer the same functions. On the machine they are single instructions; on the host a thread plays a CPU.

#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
pub(crate) use machine::{
    POSSIBLE_AT_START, block, claim_own, cpu_index, disable_interrupts, enable_interrupts,
    halt_until_interrupt, install_block, interrupts_enabled, own_element, own_notes, pause,
    release_own, set_fs_base, set_rsp0, timestamp, virtual_address_bits,
};

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(not(target_os = "none"))]
pub(crate) use host::{
    POSSIBLE_AT_START, block, claim_own, cpu_index, disable_interrupts, enable_interrupts,
    halt_until_interrupt, install_block, interrupts_enabled, own_element, own_notes, pause,
    release_own, set_fs_base, set_rsp0, timestamp, virtual_address_bits,
};
