//! What one CPU asks others for when it has taken something away, and what they do then.
//!
//! A request names the machine, the space by its number, the generation, and the pages if they are few. Nothing in it
//! points to what the sender has. The functions run with interrupts off, wherever the target happens to be, and keep
//! MAIL-5.

use smp::mailbox::{Pending, Request, WORDS_MAX};
use smp::{CpuSet, IrqOff, Pinned, time};

use crate::addr::VirtAddr;
use crate::flush::active::SpaceId;
use crate::flush::cpu_tlb::Flushed;
use crate::flush::inline_list::InlineList;
use crate::flush::machine::Machine;

/// The words of a request before those that are pages.
const WORDS_BEFORE_PAGES: usize = 3;

/// Up to so many pages are flushed one by one. Under QEMU a full flush costs as much as flushing nine pages, and then
/// each page that is used again costs half of that: it wins above some 14 pages (docs/design.md, "What QEMU makes
/// cheap").
pub(super) const MOST_PAGES: usize = WORDS_MAX - WORDS_BEFORE_PAGES;

/// What other CPUs are asked for.
#[derive(Copy, Clone)]
pub(super) enum Task<'p> {
    /// To flush what has been taken away as this generation of the space: these pages, or everything if there are none.
    Flush {
        generation: u64,
        pages: &'p [VirtAddr],
    },
    /// To leave the space if they have it loaded.
    Leave,
    /// To sweep ([`limbo`](crate::flush::limbo)).
    Sweep,
}

/// CPUs that have been asked. Dropping this ends when all of them have answered; [`Asked::wait`] also counts the time.
pub(super) struct Asked<'p, M: Machine + 'p> {
    machine: M,
    pin: &'p Pinned,
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
        let mut words = InlineList::<usize, WORDS_MAX>::new();
        let mut add = |word: usize| {
            let added = words.push(word);
            debug_assert!(added.is_ok(), "a batch lists at most {MOST_PAGES} pages");
        };
        add(machine.to_word());
        add(space.as_u64() as usize);
        let function = match task {
            Task::Flush { generation, pages } => {
                add(generation as usize);
                pages.iter().for_each(|page| add(page.as_usize()));
                flush_for_another::<M>
            }
            Task::Leave => leave_for_another::<M>,
            Task::Sweep => sweep_for_another::<M>,
        };
        let request = Request {
            function,
            words: words.as_slice(),
        };
        let pending = machine.send_flush(pin, targets, request);
        if let Some(own) = machine.cpu(pin.cpu()) {
            own.counters.count_sent(pending.targets());
        }
        Asked {
            machine,
            pin,
            request: pending,
        }
    }

    /// Waits for the answers.
    pub(super) fn wait(self) {
        let since_ns = time::now_ns();
        self.request.wait();
        if let Some(own) = self.machine.cpu(self.pin.cpu()) {
            own.counters
                .count_wait_ns(time::now_ns().saturating_sub(since_ns));
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
        let pages = pages.iter().map(|page| VirtAddr::new(*page as u64));
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
    if let [machine, space] = words {
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
