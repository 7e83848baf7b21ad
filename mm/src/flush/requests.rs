//! What one CPU asks others for when it has taken something away, and what they do then.
//!
//! A request names the machine, the space by its number, the generation, and the pages if they are few. Nothing in it
//! points to what the sender has. The functions run with interrupts off, wherever the target happens to be, and keep
//! MAIL-5.

use smp::mailbox::{LIST_MAX, Pending, Request};
use smp::{CpuSet, IrqOff, Pinned, time};

use crate::flush::active::SpaceId;
use crate::flush::cpu_tlb::Flushed;
use crate::flush::machine::{FlushCpu, Machine};

/// Up to so many pages are flushed one by one. Under QEMU a full flush costs as much as flushing nine pages, and then
/// each page that is used again costs half of that: it wins above some 14 pages (docs/design.md, "What QEMU makes
/// cheap").
pub(super) const MOST_PAGES: usize = LIST_MAX;

/// CPUs that have been asked. Dropping this ends when all of them have answered; [`Asked::wait`] also counts the time.
pub(super) struct Asked<'p, M: Machine + 'p> {
    /// What counts.
    own: &'p FlushCpu,
    request: Pending<'p, M::Bell>,
}

impl<'p, M: Machine> Asked<'p, M> {
    /// Asks `targets`, which are other CPUs than this one, whose `own` is, to flush what has been taken away as this
    /// generation of the space: the pages at these addresses, or everything if there are none.
    #[inline(always)]
    pub(super) fn to_flush(
        machine: M,
        pin: &'p Pinned,
        own: &'p FlushCpu,
        targets: &CpuSet,
        space: SpaceId,
        generation: u64,
        pages: &[usize],
    ) -> Asked<'p, M> {
        let subject = [
            machine.to_word(),
            space.as_u64() as usize,
            generation as usize,
        ];
        let request = Request {
            function: flush_for_another::<M>,
            subject,
            list: pages,
        };
        Asked::send(machine, pin, own, targets, request)
    }

    /// Asks `targets` to leave the space if they have it loaded.
    pub(super) fn to_leave(
        machine: M,
        pin: &'p Pinned,
        own: &'p FlushCpu,
        targets: &CpuSet,
        space: SpaceId,
    ) -> Asked<'p, M> {
        let request = Request {
            subject: [machine.to_word(), space.as_u64() as usize, 0],
            ..Request::of(leave_for_another::<M>)
        };
        Asked::send(machine, pin, own, targets, request)
    }

    /// Asks `targets` to sweep ([`limbo`](crate::flush::limbo)).
    pub(super) fn to_sweep(
        machine: M,
        pin: &'p Pinned,
        own: &'p FlushCpu,
        targets: &CpuSet,
    ) -> Asked<'p, M> {
        let request = Request {
            subject: [machine.to_word(), 0, 0],
            ..Request::of(sweep_for_another::<M>)
        };
        Asked::send(machine, pin, own, targets, request)
    }

    #[inline]
    fn send(
        machine: M,
        pin: &'p Pinned,
        own: &'p FlushCpu,
        targets: &CpuSet,
        request: Request<'_>,
    ) -> Asked<'p, M> {
        let request = machine.send(pin, targets, request);
        own.counters.count_sent(request.targets());
        Asked { own, request }
    }

    /// Waits for the answers.
    pub(super) fn wait(self) {
        let since = time::ticks();
        self.request.wait();
        self.own
            .counters
            .count_wait_ticks(time::ticks().wrapping_sub(since));
    }
}

/// [`Asked::to_sweep`], on a target.
fn sweep_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, ..] = words {
        // SAFETY: as in `flush_for_another`.
        let machine = unsafe { M::from_word(*machine) };
        if let Some(limbo) = machine.limbo() {
            limbo.sweep(machine, off);
        }
    }
}

/// [`Asked::to_flush`], on a target.
fn flush_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, space, generation, pages @ ..] = words {
        // SAFETY: the sender put the word of a machine of this type there, whose CPU this one is.
        let machine = unsafe { M::from_word(*machine) };
        let space = SpaceId::from_u64(*space as u64);
        if let Some(own) = machine.cpu(off) {
            let generation = *generation as u64;
            let flushed = own
                .tlb
                .flush_for_another(space, generation, pages, &machine, off);
            // The acknowledgement follows the flush: it is given when this function has returned.
            own.counters.count_served(flushed);
        }
    }
}

/// [`Asked::to_leave`], on a target.
fn leave_for_another<M: Machine>(words: &[usize], off: &IrqOff) {
    if let [machine, space, ..] = words {
        // SAFETY: as in `flush_for_another`.
        let machine = unsafe { M::from_word(*machine) };
        if let Some(own) = machine.cpu(off) {
            own.tlb
                .leave_if_loaded(SpaceId::from_u64(*space as u64), off, || {
                    machine.load_kernel_root(off)
                });
            own.counters.count_served(Flushed::Nothing);
        }
    }
}
