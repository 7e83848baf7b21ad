//! The boot CPU's side: who has been asked, who has answered, and the two rounds.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::{CpuResources, NotStarted, Starter};
use crate::cpu::{CpuId, MAX_CPUS};
use crate::percpu::PerCpuBlock;
use crate::time::Deadline;
use crate::{OutOfMemory, hw, ipi, mailbox};

/// May answer.
pub(crate) const ASKED: u32 = 0;
/// Has answered, and halts.
pub(crate) const ANSWERED: u32 = 1;
/// May go into the kernel.
pub(crate) const RELEASED: u32 = 2;
/// Has gone into the kernel.
pub(crate) const STARTED: u32 = 3;
/// Comes too late, and halts.
const REFUSED: u32 = 4;

/// How long to wait between the reset and the start-up command. The 10 ms of the processor manuals are for APICs that
/// were chips of their own; a processor with a built-in one is ready at once, and one that is not gets a second
/// command.
const RESET_NS: u64 = 10_000;
/// When to send the second start-up command to those who have not moved: the manuals say 200 us.
const SECOND_COMMAND_NS: u64 = 200_000;

/// One CPU other than the boot CPU, as trampoline and boot CPU see it.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) apic_id: u32,
    pub(crate) state: AtomicU32,
    pub(crate) stack_top: AtomicUsize,
    /// A [`PerCpuBlock`].
    pub(crate) block: AtomicPtr<PerCpuBlock>,
}

/// The CPUs that were asked to answer, and which of them have.
#[derive(Debug)]
pub struct Roster {
    /// Never freed (START-3).
    pub(super) candidates: &'static [Candidate],
    /// CPUs that cannot be reached in the APIC mode in use.
    unreachable: Vec<u32>,
}

impl Roster {
    pub(super) fn new(apic_ids: &[u32], largest_id: u32) -> Result<Roster, OutOfMemory> {
        let mut candidates = Vec::new();
        let mut unreachable = Vec::new();
        candidates
            .try_reserve_exact(apic_ids.len())
            .map_err(|_| OutOfMemory)?;
        unreachable
            .try_reserve_exact(apic_ids.len())
            .map_err(|_| OutOfMemory)?;
        for &apic_id in apic_ids {
            if apic_id > largest_id || candidates.len() + 1 == MAX_CPUS {
                unreachable.push(apic_id);
            } else {
                candidates.push(Candidate {
                    apic_id,
                    state: AtomicU32::new(ASKED),
                    stack_top: AtomicUsize::new(0),
                    block: AtomicPtr::new(core::ptr::null_mut()),
                });
            }
        }
        Ok(Roster {
            candidates: Box::leak(candidates.into_boxed_slice()),
            unreachable,
        })
    }

    /// How many CPUs there can be: the boot CPU, and those that have answered. Their numbers are below this.
    pub fn count(&self) -> usize {
        1 + self.answered().count()
    }

    /// The APIC ids of the CPUs that have answered, in the order of their numbers: the first will be CPU 1.
    pub fn answered(&self) -> impl Iterator<Item = u32> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.state() == ANSWERED)
            .map(|candidate| candidate.apic_id)
    }

    /// The APIC ids of the CPUs that have not answered by their deadline.
    pub fn silent(&self) -> impl Iterator<Item = u32> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.state() == REFUSED)
            .map(|candidate| candidate.apic_id)
    }

    /// The APIC ids of CPUs that no interrupt can reach in the APIC mode in use, or that are too many.
    pub fn unreachable(&self) -> &[u32] {
        &self.unreachable
    }

    /// The first round.
    pub(super) fn ask(&self, starter: &impl Starter) {
        start_all(
            starter,
            || self.candidates.iter(),
            |candidate| candidate.state() == ANSWERED,
        );
        for candidate in self.candidates {
            if candidate.advance(ASKED, REFUSED) {
                // Back to waiting, in case that it ever gets moving.
                starter.init(candidate.apic_id);
            }
        }
    }

    /// The second round: lets the CPUs that have answered go into the kernel, and waits until they are online.
    pub(super) fn release(
        &self,
        starter: &impl Starter,
        mut provide: impl FnMut(CpuId, u32) -> Result<CpuResources, OutOfMemory>,
    ) -> Result<usize, NotStarted> {
        let mut count = 1;
        for candidate in self
            .candidates
            .iter()
            .filter(|candidate| candidate.state() == ANSWERED)
        {
            let Ok(resources) = provide(CpuId::new(count), candidate.apic_id) else {
                break;
            };
            candidate.release(resources);
            count += 1;
        }
        let released = || {
            self.candidates
                .iter()
                .filter(|candidate| matches!(candidate.state(), RELEASED | STARTED))
        };
        let late = start_all(starter, released, Candidate::is_online);
        match late {
            Some(candidate) => Err(NotStarted {
                apic_id: candidate.apic_id,
            }),
            None => Ok(count),
        }
    }
}

impl Candidate {
    fn state(&self) -> u32 {
        // Acquire pairs with the trampoline's compare-and-exchange.
        self.state.load(Ordering::Acquire)
    }

    /// Takes the state from `from` to `to`, if it is `from` (START-1).
    pub(super) fn advance(&self, from: u32, to: u32) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn release(&self, resources: CpuResources) {
        self.stack_top.store(resources.stack_top, Ordering::Relaxed);
        self.block.store(
            core::ptr::from_ref(resources.block).cast_mut(),
            Ordering::Relaxed,
        );
        // Release pairs with the trampoline's compare-and-exchange (START-2).
        self.state.store(RELEASED, Ordering::Release);
    }

    fn is_online(&self) -> bool {
        // SAFETY: null, or stored by `release` from a `&'static`.
        let block = unsafe { self.block.load(Ordering::Relaxed).as_ref() };
        block.is_some_and(|block| ipi::online().contains(block.cpu()))
    }
}

/// Resets and starts all of `candidates` at once, and waits until `is_done` holds for each. Returns one for which it
/// does not at the deadline.
fn start_all<C: Iterator<Item = &'static Candidate>>(
    starter: &impl Starter,
    candidates: impl Fn() -> C,
    is_done: impl Fn(&Candidate) -> bool,
) -> Option<&'static Candidate> {
    let waiting = || candidates().find(|candidate| !is_done(candidate));
    let patience_ms = starter.patience_ms(candidates().count());
    candidates().for_each(|candidate| starter.init(candidate.apic_id));
    wait_while(Deadline::after_ns(RESET_NS), || true);
    candidates().for_each(|candidate| starter.start_up(candidate.apic_id));
    wait_while(Deadline::after_ns(SECOND_COMMAND_NS), || {
        waiting().is_some()
    });
    candidates()
        .filter(|candidate| !is_done(candidate))
        .for_each(|candidate| starter.start_up(candidate.apic_id));
    wait_while(Deadline::after_ms(patience_ms), || waiting().is_some());
    waiting()
}

fn wait_while(deadline: Deadline, condition: impl Fn() -> bool) {
    while condition() && !deadline.has_passed() {
        // TLB-4: CPUs that are up already may send requests.
        mailbox::serve_requests();
        hw::pause();
    }
}
