//! CPUs: topology, bring-up, per-CPU data, locks, APIC and inter-processor interrupts.
//!
//! `smp` knows nothing of pages or processes: what it needs of memory is handed to it.
//!
//! Read in this order: [`cpu`] and [`percpu`] say what a CPU is and what belongs to it; [`irq`] and [`pin`] are the two
//! ways to stay on one; [`rank`] and [`lock`] are how CPUs keep out of each other's way; [`mailbox`] is how one asks
//! another for something. The hardware stands behind `hw`, with a stand-in for tests on the host.
#![no_std]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

pub mod apic;
pub mod arc_slot;
#[cfg(any(target_os = "none", test))]
pub mod bring_up;
pub mod cpu;
pub mod cpu_set;
pub mod fiber;
pub mod fpu;
mod hw;
pub mod ipi;
pub mod irq;
pub mod list;
pub mod lock;
pub mod log;
pub mod mailbox;
pub mod percpu;
pub mod pin;
pub mod rank;
pub mod sync;
pub mod time;
pub mod tls;
pub mod topology;
#[cfg(target_os = "none")]
pub mod trampoline;
pub mod wait;
pub mod watchdog;

pub use cpu::{CpuId, MAX_CPUS};
pub use cpu_set::{AtomicCpuSet, CpuSet};
#[cfg(not(target_os = "none"))]
pub use hw::host;
pub use irq::IrqOff;
pub use list::{ArcList, Link, Linked};
pub use lock::{SpinGuard, SpinLock};
pub use percpu::{CpuLocal, PerCpu, PerCpuBlock};
pub use pin::Pinned;
pub use rank::Rank;

/// There is not enough memory for what was asked; nothing has changed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct OutOfMemory;
