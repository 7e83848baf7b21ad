//! Starting the other CPUs. When it is over, the CPUs `0..cpu::count()` run the kernel's code on stacks of their own, and
//! every other CPU is halted or waits to be started, for ever: none of them will touch anything.
//!
//! It is done in two rounds, each for all CPUs at once. In the first ([`wake`]) each CPU is started at the trampoline just
//! to answer, and halts. That needs no stack. Now it is known how many there are, and what a CPU needs can be made for as
//! many as there are, with their final numbers. In the second ([`Roster::start`]) those that have answered are started
//! again, and go on into the kernel. A CPU that has not answered by its deadline is reported and left out.
//!
//! Boot CPU and trampoline agree by one word for each CPU, its state:
//!
//! ```text
//!            first round               second round
//!  ASKED  ---- the CPU ----> ANSWERED ---- boot ----> RELEASED ---- the CPU ----> STARTED
//!    |
//!    +-------- boot, at the deadline ----> REFUSED
//! ```
//!
//! - **START-1**: a CPU goes into the kernel only by taking its word from RELEASED to STARTED; in any other state it halts.
//!   Both sides change the word by compare-and-exchange, so a CPU that answers late finds REFUSED.
//! - **START-2**: stack, number and block are written before RELEASED is, and read after STARTED.
//! - **START-3**: nothing that the trampoline reads is ever freed or changed to mean something else: a CPU may come late.

mod roster;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::apic;
use crate::cpu;
use crate::cpu_set::{AtomicCpuSet, CpuSet};
use crate::percpu::PerCpuBlock;

pub use self::roster::Roster;
#[cfg(target_os = "none")]
pub use self::roster::wake;
#[cfg(target_os = "none")]
pub(crate) use self::roster::{ANSWERED, ASKED, CANDIDATES, Candidate, Candidates, RELEASED, STARTED};

/// The CPUs that have everything they need to handle interrupts and NMIs.
static ONLINE: AtomicCpuSet = AtomicCpuSet::new();

/// Says that the CPU that runs this is set up: it has its tables, its block and its local APIC, and handles NMIs. Each CPU
/// calls it once, the boot CPU too; [`Roster::start`] waits for it.
pub fn announce() {
    ONLINE.fetch_insert(cpu::id_racy());
}

/// The CPUs that have announced themselves.
pub fn online() -> CpuSet {
    ONLINE.load()
}

/// What a CPU needs to go into the kernel.
#[derive(Debug)]
pub struct CpuResources {
    /// The address above the last byte of its stack; a multiple of 16.
    pub stack_top: usize,
    /// Its block, made for its number and APIC id.
    pub block: &'static PerCpuBlock,
}

/// A CPU has answered in the first round and does not come up in the second.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct NotStarted {
    /// Its APIC id.
    pub apic_id: u32,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the CPU with APIC id {} answered once, but does not start", self.apic_id)
    }
}

/// How the boot CPU gets at the others.
trait Starter {
    /// Resets a CPU, so that it waits for `start_up`.
    fn init(&self, apic_id: u32);
    /// Lets a CPU run the trampoline, if it waits for that.
    fn start_up(&self, apic_id: u32);
    /// How long a CPU may take to answer.
    fn patience_ms(&self, cpus: usize) -> u64;
}

/// The local APIC, and the page at which the trampoline lies.
#[derive(Debug)]
struct LocalApic {
    trampoline_page: u8,
}

impl Starter for LocalApic {
    fn init(&self, apic_id: u32) {
        // SAFETY: it goes to CPUs only that have not been released into the kernel (START-1), and so run nothing.
        unsafe { apic::send_init(apic_id) };
    }

    fn start_up(&self, apic_id: u32) {
        // SAFETY: the trampoline lies at that page since before this value was made.
        unsafe { apic::send_start_up(apic_id, self.trampoline_page) };
    }

    fn patience_ms(&self, cpus: usize) -> u64 {
        // Ten seconds, and more where many virtual CPUs share a few real ones.
        10_000 + 50 * cpus as u64
    }
}
