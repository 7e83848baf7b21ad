//! Bring-up on the machine: by the local APIC and the trampoline.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::roster::{Candidate, Roster};
use super::{CpuResources, NotStarted, Starter};
use crate::cpu::{self, CpuId};
use crate::{OutOfMemory, apic, trampoline};

/// Where the trampoline finds the candidates. Written before the first CPU is started.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Candidates {
    pub(crate) first: AtomicPtr<Candidate>,
    pub(crate) count: AtomicUsize,
}

pub(crate) static CANDIDATES: Candidates = Candidates {
    first: AtomicPtr::new(core::ptr::null_mut()),
    count: AtomicUsize::new(0),
};

/// The local APIC, and the page at which the trampoline lies.
struct LocalApic {
    trampoline_page: u8,
    /// A CPU that gets no start-up commands (`fail=ap`).
    deaf: Option<u32>,
}

/// What is left out when CPUs are started, so that tests see it (`fail=ap`).
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum Deaf {
    /// Nothing.
    #[default]
    Nobody,
    /// The CPU with this APIC id does not answer in the first round.
    Always(u32),
    /// It answers in the first round, and not in the second.
    InSecondRound(u32),
}

impl Starter for LocalApic {
    fn init(&self, apic_id: u32) {
        // SAFETY: it goes to CPUs only that have not been released into the kernel (START-1), and so run nothing.
        unsafe { apic::send_init(apic_id) };
    }

    fn start_up(&self, apic_id: u32) {
        if self.deaf != Some(apic_id) {
            // SAFETY: the trampoline lies at that page since before this value was made.
            unsafe { apic::send_start_up(apic_id, self.trampoline_page) };
        }
    }

    fn patience_ms(&self, cpus: usize) -> u64 {
        // Ten seconds, and more where many virtual CPUs share a few real ones; less if it is known to be in vain.
        let least = if self.deaf.is_some() { 1_000 } else { 10_000 };
        least + 50 * cpus as u64
    }
}

/// The first round: starts the CPUs with these APIC ids at the trampoline, and waits until each has answered or its
/// deadline has passed. Says by [`cpu::set_possible`] how many CPUs there can be now.
///
/// `trampoline_page` is the address of a page below 1 MiB that this fills; `root` that of the page table on which the
/// CPUs will run: the boot CPU's own, or one that maps the kernel alike.
///
/// # Errors
/// [`OutOfMemory`], and no CPU was started.
///
/// # Safety
/// 1. Called once, by the boot CPU, after `apic::init_boot_cpu` and `time::init`.
/// 2. The page is RAM that nobody else uses, now or ever, and is mapped writable at its own address.
/// 3. `root` and the tables below it stay as they are for the kernel's half, for ever, and map the kernel at its
///    physical addresses, which are below 4 GiB.
/// 4. The ids are those of CPUs other than this one, none twice.
pub unsafe fn wake(
    trampoline_page: u32,
    root: u32,
    apic_ids: &[u32],
    deaf: Deaf,
) -> Result<Roster, OutOfMemory> {
    let roster = Roster::new(apic_ids, apic::largest_id())?;
    // SAFETY: conditions 2 and 3.
    let trampoline_page = unsafe { trampoline::install(trampoline_page, root) };
    CANDIDATES
        .count
        .store(roster.candidates.len(), Ordering::Relaxed);
    // Release: whoever is started afterwards (commands are fenced) sees the table.
    CANDIDATES
        .first
        .store(roster.candidates.as_ptr().cast_mut(), Ordering::Release);
    let deaf = match deaf {
        Deaf::Always(apic_id) => Some(apic_id),
        Deaf::Nobody | Deaf::InSecondRound(_) => None,
    };
    roster.ask(&LocalApic {
        trampoline_page,
        deaf,
    });
    cpu::set_possible(roster.count());
    Ok(roster)
}

impl Roster {
    /// The second round: lets the CPUs that have answered go into the kernel. Each runs `entry` with its number, on its
    /// own stack, with its block installed, interrupts off, and the control registers of the boot CPU; segments and
    /// vectors are the trampoline's and none. It must call [`crate::ipi::announce`] once it is set up, for which this
    /// waits.
    ///
    /// `provide` makes what the CPU with this number and APIC id needs. When there is no memory for one, that one and
    /// those behind it are left out. On return [`cpu::count`] is the number of CPUs that run, which is also the result.
    ///
    /// # Errors
    /// [`NotStarted`], after the deadline, if one does not announce itself. Others run by then, so there is no way
    /// back.
    ///
    /// # Safety
    /// 1. Called by the boot CPU, which has announced itself.
    /// 2. Each stack is mapped writable on the table given to [`wake`], is used by nobody else, and lives for ever; so
    ///    does each block.
    /// 3. Whatever `entry` uses is set up.
    pub unsafe fn start(
        self,
        entry: extern "C" fn(usize) -> !,
        deaf: Deaf,
        provide: impl FnMut(CpuId, u32) -> Result<CpuResources, OutOfMemory>,
    ) -> Result<usize, NotStarted> {
        // SAFETY: condition 3.
        let trampoline_page = unsafe { trampoline::set_entry(entry) };
        let deaf = match deaf {
            Deaf::InSecondRound(apic_id) => Some(apic_id),
            Deaf::Nobody | Deaf::Always(_) => None,
        };
        let starter = LocalApic {
            trampoline_page,
            deaf,
        };
        let count = self.release(&starter, provide)?;
        cpu::set_count(count);
        Ok(count)
    }
}
