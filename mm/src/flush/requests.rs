//! What one CPU asks others for when it has taken something away, and what they do then.
//!
//! A request names the machine, the space by its number, the generation, and the pages if they are few. Nothing in it
//! points to what the sender has. The functions run with interrupts off, wherever the target happens to be, and keep
//! MAIL-5.

use smp::mailbox::{Function, LIST_MAX, Pending, Request};
use smp::{CpuSet, IrqOff, Pinned, time};

use crate::addr::VirtAddr;
use crate::flush::active::SpaceId;
use crate::flush::cpu_tlb::Flushed;
use crate::flush::machine::{FlushCpu, Machine};

/// Up to so many pages are flushed one by one. Under QEMU a full flush costs as much as flushing nine pages, and then
/// each page that is used again costs half of that: it wins above some 14 pages (docs/design.md, "What QEMU makes
/// cheap").
pub(super) const MOST_PAGES: usize = LIST_MAX;

/// The pages at these addresses, which are addresses of pages.
#[inline]
pub(super) fn pages_at(addresses: &[usize]) -> impl ExactSizeIterator<Item = VirtAddr> {
    let addresses = addresses.iter();
    addresses.map(|address| VirtAddr::new(*address as u64))
}

/// What other CPUs are asked for.
#[derive(Copy, Clone)]
pub(super) enum Task<'p> {
    /// To flush what has been taken away as this generation of the space: the pages at these addresses, or everything
    /// if there are none.
    Flush { generation: u64, pages: &'p [usize] },
    /// To leave the space if they have it loaded.
    Leave,
    /// To sweep ([`limbo`](crate::flush::limbo)).
    Sweep,
}

/// CPUs that have been asked. Dropping this ends when all of them have answered; [`Asked::wait`] also counts the time.
pub(super) struct Asked<'p, M: Machine + 'p> {
    /// What counts. `None` as [`Machine::cpu`].
    own: Option<&'p FlushCpu>,
    request: Pending<'p, M::Bell>,
}

impl<'p, M: Machine> Asked<'p, M> {
    /// Asks `targets`, which are other CPUs than this one, for `task`, about the space `space`.
    #[inline(never)]
    pub(super) fn ask(
        machine: M,
        pin: &'p Pinned,
        targets: &CpuSet,
        space: SpaceId,
        task: Task<'_>,
    ) -> Asked<'p, M> {
        let (function, generation, list): (Function, _, _) = match task {
            Task::Flush { generation, pages } => (flush_for_another::<M>, generation, pages),
            Task::Leave => (leave_for_another::<M>, 0, &[][..]),
            Task::Sweep => (sweep_for_another::<M>, 0, &[][..]),
        };
        let request = Request {
            function,
            subject: [
                machine.to_word(),
                space.as_u64() as usize,
                generation as usize,
            ],
            list,
        };
        let pending = machine.send_flush(pin, targets, request);
        let own = machine.cpu(pin.cpu());
        if let Some(own) = own {
            own.counters.count_sent(pending.targets());
        }
        Asked {
            own,
            request: pending,
        }
    }

    /// Waits for the answers.
    pub(super) fn wait(self) {
        let since_ns = time::now_ns();
        self.request.wait();
        if let Some(own) = self.own {
            let wait_ns = time::now_ns().saturating_sub(since_ns);
            own.counters.count_wait_ns(wait_ns);
        }
    }
}

/// [`Task::Sweep`], on a target.
fn sweep_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, ..] = words {
        // SAFETY: as in `flush_for_another`.
        let machine = unsafe { M::from_word(*machine) };
        if let Some(limbo) = machine.limbo() {
            limbo.sweep(machine, off);
        }
    }
}

/// [`Task::Flush`], on a target.
fn flush_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, space, generation, pages @ ..] = words {
        // SAFETY: `Asked::ask` put the word of a machine of this type there, whose CPU this one is.
        let machine = unsafe { M::from_word(*machine) };
        let space = SpaceId::from_u64(*space as u64);
        let pages = pages_at(pages);
        if let Some(own) = machine.cpu(off.cpu()) {
            let flushed =
                own.tlb
                    .flush_for_another(space, *generation as u64, pages, &machine, off);
            // The acknowledgement follows the flush: it is given when this function has returned.
            own.counters.count_served(flushed);
        }
    }
}

/// [`Task::Leave`], on a target.
fn leave_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, space, ..] = words {
        // SAFETY: as in `flush_for_another`.
        let machine = unsafe { M::from_word(*machine) };
        if let Some(own) = machine.cpu(off.cpu()) {
            own.tlb
                .leave_if_loaded(SpaceId::from_u64(*space as u64), off, || {
                    machine.load_kernel_root(off)
                });
            own.counters.count_served(Flushed::Nothing);
        }
    }
}
