//! `fork`: a second process that goes on where the first one is.

use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use mm::addr::VirtAddr;
use mm::aspace::SpaceRef;
use mm::space::ForkPolicy;
use smp::fiber::{FpuState, UserState};
use spin::Once;

use crate::process::Process;
use crate::registers::UserRegisters;
use crate::signal::SignalState;
use crate::thread::{Beginning, Id, Start, Thread};
use crate::{birth, table};

static POLICY: Once<ForkPolicy> = Once::new();

/// What an experiment has put in its place: 1 + the position in `ForkPolicy::NAMED`; 0 for nothing.
static OVERRIDE: AtomicUsize = AtomicUsize::new(0);

/// Chooses how memory is copied (`fork=` on the boot line).
pub fn set_policy(policy: ForkPolicy) {
    POLICY.call_once(|| policy);
}

/// Chooses how forks that begin from now on copy memory, whatever the boot line says; `None`: as that says. Forks that
/// are under way elsewhere go on as they began.
pub fn override_policy(policy: Option<ForkPolicy>) {
    let position = ForkPolicy::NAMED
        .iter()
        .position(|(_, named)| Some(*named) == policy);
    // Relaxed, here and below: the number is all there is to see.
    OVERRIDE.store(
        position.map_or(0, |position| position + 1),
        Ordering::Relaxed,
    );
}

fn policy() -> ForkPolicy {
    let position = OVERRIDE.load(Ordering::Relaxed).wrapping_sub(1);
    match ForkPolicy::NAMED.get(position) {
        Some((_, policy)) => *policy,
        None => POLICY.get().copied().unwrap_or(ForkPolicy::Shared),
    }
}

/// Creates a child with a copy of the caller's memory, files, signal handlers and registers, and lets it run. Of the
/// threads only the caller is copied; if it is in a signal handler, so is the copy. In the child the call returns 0.
///
/// # Errors
/// `EAGAIN` if the process table is full, `ENOMEM` if there is no memory; nothing has changed then.
pub fn fork(parent: &Thread, registers: &UserRegisters) -> Result<Id, Errno> {
    let parent_process = parent.process().ok_or(Errno::EINVAL)?;
    let parent_space = parent_process.space().ok_or(Errno::EINVAL)?;
    let reservation = table::reserve()?;
    let space = parent_space.fork_at(policy(), VirtAddr::new(registers.rsp))?;
    let descriptors = parent_process.descriptors.fork()?;
    let process = mm::heap::try_arc(Process::new(
        reservation.id(),
        *parent_process.name(),
        SpaceRef::Paging(space),
        descriptors,
        Some(parent_process.clone()),
    ))?;
    process.handlers.copy_from(&parent_process.handlers);
    let mut registers = registers.clone();
    registers.set_result(0);
    let fpu = FpuState::copy_of_current().map_err(|_| Errno::ENOMEM)?;
    let affinity = parent.affinity();
    let tls_base = parent.user().map(UserState::tls_base).unwrap_or_default();
    let user = UserState::new(fpu, tls_base);
    let beginning = Beginning {
        signals: SignalState::copy_of(parent)?,
        ..Beginning::new(Start::User(registers), Some(user), &affinity)
    };
    birth::give_life(reservation, process, beginning)
}
