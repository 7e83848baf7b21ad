//! [`FlushBatch`]: what a change of a page table has taken away, until no CPU can reach it any more.

use core::fmt;
use core::mem::ManuallyDrop;

use smp::{CpuSet, Pinned, irq, pin};

use crate::addr::{UserRange, VirtAddr};
use crate::flush::active::{ActiveCpus, Reach, SpaceId};
use crate::flush::inline_list::InlineList;
use crate::flush::kernel::Kernel;
use crate::flush::machine::{FlushCpu, Machine, Released};
use crate::flush::requests::{Asked, MOST_PAGES};
use crate::flush::strategy::Strategy;

/// What has been taken away from the page table of one address space. See the module's page.
///
/// An empty one costs a few instructions to make and to drop.
#[must_use = "dropping a batch flushes at once"]
pub struct FlushBatch<'a, M: Machine = Kernel> {
    machine: M,
    space: &'a ActiveCpus,
    /// Whose translations have to go; `None` as long as none has.
    reach: Option<Reach>,
    /// Whether there is anything at all: to flush or to give back.
    is_empty: bool,
    /// Whether no CPU can reach the space any more, so that everything is given back at once.
    is_unreachable: bool,
    /// The addresses of the pages whose translations have to go, if they are few, as a request carries them. If there is
    /// none, it is page-table pages that the page walker has to forget.
    pages: InlineList<usize, MOST_PAGES>,
    are_pages_many: bool,
    /// What is given back in the end. Nothing is left of it to drop: a batch is complete before it goes.
    released: ManuallyDrop<M::Released>,
}

impl<'a> FlushBatch<'a> {
    /// An empty batch for the address space of `space`.
    #[inline]
    pub fn new(space: &'a ActiveCpus) -> FlushBatch<'a> {
        FlushBatch::on(Kernel, space)
    }
}

impl<'a, M: Machine> FlushBatch<'a, M> {
    /// An empty batch for the address space of `space`, on any machine.
    #[inline]
    pub fn on(machine: M, space: &'a ActiveCpus) -> FlushBatch<'a, M> {
        FlushBatch {
            machine,
            space,
            reach: None,
            is_empty: true,
            is_unreachable: false,
            pages: InlineList::new(),
            are_pages_many: false,
            released: ManuallyDrop::default(),
        }
    }

    /// The address space that it is for.
    #[inline]
    pub fn space(&self) -> SpaceId {
        self.space.space()
    }

    /// Whether nothing has been collected.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Step 1: the translation of the page at `page`, or of the big page that contains it, has to go.
    #[inline]
    pub fn record(&mut self, page: VirtAddr) {
        if self.is_unreachable || self.are_pages_many {
            // Nothing is left to be flushed, or everything will be.
            return;
        }
        self.must_reach_active();
        self.are_pages_many = self.pages.push(page.as_usize()).is_err();
    }

    /// Step 1: all translations of the space have to go.
    #[inline]
    pub(crate) fn record_everything(&mut self) {
        if !self.is_unreachable {
            self.must_reach_active();
            self.are_pages_many = true;
        }
    }

    /// Step 1: `frame` was mapped. This reference is given back when no CPU can reach it any more.
    #[inline]
    pub fn release(&mut self, frame: <M::Released as Released>::Frame) {
        if self.is_unreachable {
            drop(frame);
            return;
        }
        self.is_empty = false;
        if let Err(frame) = self.released.add(frame) {
            self.release_to_fewer(frame);
        }
    }

    /// Completes what there is so far, which makes room.
    #[cold]
    fn release_to_fewer(&mut self, frame: <M::Released as Released>::Frame) {
        self.complete();
        self.release(frame);
    }

    /// Step 1: `big` was mapped; as [`FlushBatch::release`]. If there are too many, completes what there is so far.
    #[cold]
    pub fn release_big(&mut self, big: <M::Released as Released>::BigFrame) {
        if self.is_unreachable {
            drop(big);
            return;
        }
        self.is_empty = false;
        if let Err(big) = self.released.add_big(big) {
            self.complete();
            self.release_big(big);
        }
    }

    /// Step 1: `table` was a page-table page. If this is its last reference, what it still maps goes with it, and must
    /// have been recorded.
    #[inline]
    pub fn release_table(&mut self, table: <M::Released as Released>::Frame) {
        if self.is_unreachable {
            M::Released::give_back_table(table);
            return;
        }
        self.reach = Some(Reach::Loaded);
        self.is_empty = false;
        if let Err(table) = self.released.add_table(table) {
            self.release_table_to_fewer(table);
        }
    }

    /// As [`FlushBatch::release_to_fewer`].
    #[cold]
    fn release_table_to_fewer(&mut self, table: <M::Released as Released>::Frame) {
        self.complete();
        self.release_table(table);
    }

    #[inline]
    fn must_reach_active(&mut self) {
        self.reach.get_or_insert(Reach::Active);
        self.is_empty = false;
    }

    /// Makes every CPU that has the space loaded leave it, and waits for that. From then on nothing needs to be
    /// flushed, and what is released is given back at once (TLB-1). The caller has seen to it that no CPU enters the
    /// space any more.
    pub fn make_unreachable(&mut self) {
        self.complete();
        let (machine, pin) = (self.machine, pin::pin());
        if let Some(own) = machine.cpu(&pin) {
            let mut others = CpuSet::new();
            self.space.publish(Reach::Loaded, pin.cpu(), &mut others);
            if machine.strategy() == Strategy::Broadcast {
                others = machine.everybody().without(pin.cpu());
            }
            let asked = (!others.is_empty())
                .then(|| Asked::to_leave(machine, &pin, own, &others, self.space()));
            let off = irq::disable();
            own.tlb.leave_if_loaded(self.space(), &off, || {
                machine.load_kernel_root(&off);
            });
            drop(off);
            if let Some(asked) = asked {
                asked.wait();
            }
        }
        self.is_unreachable = true;
    }

    /// Steps 2 and 3. The batch is empty then, and can be used again.
    #[inline]
    pub fn complete(&mut self) {
        if !self.is_empty() {
            self.complete_collected();
        }
    }

    fn complete_collected(&mut self) {
        if let Some(reach) = self.reach {
            let pin = pin::pin();
            if let Some(asked) = self.dispatch(&pin, reach) {
                asked.wait();
            }
        }
        self.give_back();
    }

    /// Step 2: this CPU forgets what was recorded, and the others that `reach` concerns, if there are any, are asked to.
    #[inline]
    fn dispatch<'p>(&self, pin: &'p Pinned, reach: Reach) -> Option<Asked<'p, M>>
    where
        M: 'p,
    {
        let machine = self.machine;
        // At boot, before there is an address space, there is nothing to flush.
        let own = machine.cpu(pin)?;
        let mut others = CpuSet::new();
        let generation = self.space.publish(reach, pin.cpu(), &mut others);
        match machine.strategy() {
            Strategy::Targeted | Strategy::Deferred => {}
            Strategy::Broadcast => others = machine.everybody().without(pin.cpu()),
            Strategy::Nobody => others = CpuSet::new(),
        }
        let asked = (!others.is_empty()).then(|| {
            let (space, pages) = (self.space(), self.pages());
            Asked::to_flush(machine, pin, own, &others, space, generation, pages)
        });
        // While the others are at it.
        self.flush_here(own, reach, generation);
        if asked.is_none() {
            own.counters.count_avoided();
        }
        asked
    }

    /// Flushes on this CPU, whose `own` is, what has been published as `generation`.
    #[inline]
    fn flush_here(&self, own: &FlushCpu, reach: Reach, generation: u64) {
        let pages = self.pages();
        let flushed = own
            .tlb
            .flush_own(self.space, generation, reach, pages, &self.machine);
        own.counters.count_flushed(flushed);
    }

    /// The pages that have to be flushed; none if everything has to.
    #[inline]
    fn pages(&self) -> &[usize] {
        if self.are_pages_many {
            &[]
        } else {
            self.pages.as_slice()
        }
    }

    /// Step 3, when all CPUs have answered: gives everything back (TLB-1).
    fn give_back(&mut self) {
        if !self.released.is_empty() {
            self.released.give_back();
        }
        self.pages.clear();
        self.are_pages_many = false;
        self.reach = None;
        self.is_empty = true;
    }
}

impl<M: Machine> FlushBatch<'_, M> {
    /// Steps 2 and 3 of a batch that has done nothing but unmap `range`. Under [`Strategy::Deferred`] it does not wait
    /// for other CPUs: what it has collected goes to [`limbo`](crate::flush::limbo), with the addresses.
    pub fn complete_unmap(&mut self, range: UserRange) {
        let pin = pin::pin();
        // LIMBO-3: not if it frees page-table pages.
        if let Some(limbo) = self.machine.limbo()
            && self.reach == Some(Reach::Active)
            && let Some(own) = self.machine.cpu(&pin)
        {
            let mut others = CpuSet::new();
            let generation = self.space.publish(Reach::Active, pin.cpu(), &mut others);
            // First: what is in limbo does not wait for this CPU.
            self.flush_here(own, Reach::Active, generation);
            own.counters.count_avoided();
            if !others.is_empty() {
                let (machine, space) = (self.machine, self.space);
                limbo.put(machine, &pin, space, range, &others, &mut self.released);
            }
            self.give_back();
        } else {
            self.complete();
        }
    }
}

impl<M: Machine> Drop for FlushBatch<'_, M> {
    #[inline]
    fn drop(&mut self) {
        self.complete();
    }
}

impl<M: Machine<Released: fmt::Debug>> fmt::Debug for FlushBatch<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushBatch")
            .field("space", &self.space())
            .field("reach", &self.reach)
            .field("released", &self.released)
            .finish_non_exhaustive()
    }
}
