//! Starting the other CPUs. When it is over, the CPUs `0..cpu::count()` run the kernel's code on stacks of their own,
//! and every other CPU is halted or waits to be started, for ever: none of them will touch anything.
//!
//! It is done in two rounds, each for all CPUs at once. In the first ([`wake`]) each CPU is started at the trampoline
//! just to answer, and halts. That needs no stack. Now it is known how many there are, and what a CPU needs can be made
//! for as many as there are, with their final numbers. In the second ([`Roster::start`]) those that have answered are
//! started again, and go on into the kernel. A CPU that has not answered by its deadline is reported and left out.
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
//! - **START-1**: a CPU goes into the kernel only by taking its word from RELEASED to STARTED; in any other state it
//!   halts. Both sides change the word by compare-and-exchange, so a CPU that answers late finds REFUSED.
//! - **START-2**: stack, number and block are written before RELEASED is, and read after STARTED.
//! - **START-3**: nothing that the trampoline reads is ever freed or changed to mean something else: a CPU may come
//!   late.

#[cfg(target_os = "none")]
mod machine;
mod roster;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::percpu::PerCpuBlock;

#[cfg(target_os = "none")]
pub(crate) use self::machine::{CANDIDATES, Candidates};
#[cfg(target_os = "none")]
pub use self::machine::{Deaf, wake};
pub use self::roster::Roster;
#[cfg(target_os = "none")]
pub(crate) use self::roster::{ANSWERED, ASKED, Candidate, RELEASED, STARTED};

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
        write!(
            f,
            "the CPU with APIC id {} answered once, but does not start",
            self.apic_id
        )
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
