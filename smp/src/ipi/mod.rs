//! Interrupts from one CPU to others, and the vectors that the local APIC uses.
//!
//! An interrupt carries nothing: what it is about is in memory, stored before it is sent and seen by the handler.

pub mod stop;
pub mod trouble;

use crate::apic;
use crate::cpu::{self, CpuId};
use crate::cpu_set::{AtomicCpuSet, CpuSet};
use crate::irq::IrqOff;
use crate::percpu;

/// Vector of the local timer.
pub const TIMER_VECTOR: u8 = 0xf0;
/// Vector of [`Ipi::Reschedule`].
pub const RESCHEDULE_VECTOR: u8 = 0xf1;
/// Vector of [`Ipi::Mailbox`].
pub const MAILBOX_VECTOR: u8 = 0xf2;
/// Vector of interrupts that went away before they could be delivered. Must not be acknowledged.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// The CPUs that handle these vectors and NMIs.
static ONLINE: AtomicCpuSet = AtomicCpuSet::new();

/// Says that the CPU that runs this is set up: it has its tables, its block and its local APIC, and handles interrupts
/// and NMIs. Each CPU calls it once, the boot CPU too; bring-up waits for it.
pub fn announce() {
    ONLINE.fetch_insert(cpu::id_racy());
}

/// The CPUs that have announced themselves.
pub fn online() -> CpuSet {
    ONLINE.load()
}

/// As [`online`], without the CPU that this ran on: unless the caller is pinned it may be another one by now.
pub fn others_online() -> CpuSet {
    online().without(cpu::id_racy())
}

/// What one CPU tells others by an interrupt.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Ipi {
    /// Look at your run queue.
    Reschedule,
    /// Look at your mailbox.
    Mailbox,
}

impl Ipi {
    /// Where it arrives.
    pub const fn vector(self) -> u8 {
        match self {
            Ipi::Reschedule => RESCHEDULE_VECTOR,
            Ipi::Mailbox => MAILBOX_VECTOR,
        }
    }
}

/// Interrupts `target`, which is up (one that is not gets nothing).
#[inline]
pub fn send(ipi: Ipi, target: CpuId) {
    if let Some(block) = percpu::block_of(target)
        && !trouble::is_lost(ipi)
    {
        // SAFETY: a CPU that has its block handles these vectors as soon as it turns interrupts on.
        unsafe { apic::send_fixed(block.apic_id(), ipi.vector()) };
    }
}

/// Interrupts each CPU in `targets`: in x2APIC mode with one command for each cluster of 16.
#[inline]
pub fn send_to_set(ipi: Ipi, targets: &CpuSet, off: &IrqOff) {
    if trouble::is_lost(ipi) {
        return;
    }
    let apic_ids = targets
        .iter()
        .filter_map(|target| Some(percpu::block_of(target)?.apic_id()));
    // SAFETY: as in `send`.
    unsafe { apic::send_fixed_to_all(apic_ids, ipi.vector(), off) };
}

/// Interrupts each CPU in `targets` so that it looks at its mailbox: what [`crate::mailbox::init`] is given.
pub fn ring_mailboxes(targets: &CpuSet, off: &IrqOff) {
    send_to_set(Ipi::Mailbox, targets, off);
}
