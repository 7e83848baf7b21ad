//! `create_thread`: another thread in the caller's process (exercise KERN-10).

use abi::Errno;
use smp::fiber::{FpuState, UserState};
use smp::tls::TlsBase;

use crate::registers::UserRegisters;
use crate::thread::{Beginning, Id, Start, Thread};
use crate::{birth, table};

/// Starts a thread in the process of `creator` with these registers, a fresh FPU state, and the affinity of `creator`.
///
/// # Errors
/// `EAGAIN` if the process table is full, or the process is about to end; `ENOMEM`. Nothing has changed then.
pub fn create_thread(
    creator: &Thread,
    registers: UserRegisters,
    tls_base: TlsBase,
) -> Result<Id, Errno> {
    let process = creator.process().ok_or(Errno::EINVAL)?;
    let reservation = table::reserve()?;
    let fpu = FpuState::new().map_err(|_| Errno::ENOMEM)?;
    let affinity = creator.affinity();
    let user = UserState::new(fpu, tls_base);
    let beginning = Beginning::new(Start::User(registers), Some(user), &affinity);
    birth::add_thread(reservation, process, beginning)
}
