//! [`FlushBatch`]: what a change of a page table has taken away, until no CPU can reach it any more.

use core::{fmt, ptr};

use smp::mailbox::{self, Pending, Request, Ring, Words};
use smp::{CpuSet, Pinned, irq, pin};

use crate::addr::VirtAddr;
use crate::flush::active::{ActiveCpus, Reach, SpaceId};
use crate::flush::inline_list::InlineList;
use crate::flush::{TLBS, ThisProcessor, flush_for_another, leave_for_another, leave_space};
use crate::frame::{BigFrame, Frame, FrameChain, FrameKind};
use crate::page_table::drop_table;

/// Up to so many pages are flushed one by one. Under QEMU a full flush costs as much as flushing nine pages, and then
/// each page that is used again costs half of that: it wins above some 14 pages (docs/design.md, "What QEMU makes
/// cheap").
const MOST_PAGES: usize = 14;

/// How many shared frames a batch can hold that some other batch has linked.
const MOST_LINKED_ELSEWHERE: usize = 16;

/// How many big frames a batch can hold.
const MOST_BIG_FRAMES: usize = 8;

/// What has been taken away from the page table of one address space. See the module's page.
///
/// An empty one costs a few instructions to make and to drop.
#[must_use = "dropping a batch flushes at once"]
pub struct FlushBatch<'a> {
    space: &'a ActiveCpus,
    /// Whose translations have to go; `None` as long as none has.
    reach: Option<Reach>,
    /// Whether there is anything at all: to flush or to give back.
    is_empty: bool,
    /// Whether no CPU can reach the space any more, so that everything is given back at once.
    is_unreachable: bool,
    /// The pages whose translations have to go, if they are few.
    pages: InlineList<VirtAddr, MOST_PAGES>,
    are_pages_many: bool,
    /// Frames that were mapped.
    frames: FrameChain,
    /// Page-table pages, some with all that they map.
    tables: FrameChain,
    /// Frames that are shared and whose link another batch uses.
    linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
    /// Big pages' memory that was mapped.
    big_frames: InlineList<BigFrame, MOST_BIG_FRAMES>,
}

impl<'a> FlushBatch<'a> {
    /// An empty batch for the address space of `space`.
    #[inline]
    pub fn new(space: &'a ActiveCpus) -> FlushBatch<'a> {
        FlushBatch {
            space,
            reach: None,
            is_empty: true,
            is_unreachable: false,
            pages: InlineList::new(),
            are_pages_many: false,
            frames: FrameChain::new(),
            tables: FrameChain::new(),
            linked_elsewhere: InlineList::new(),
            big_frames: InlineList::new(),
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
        self.must_reach(Reach::Active);
        self.are_pages_many = self.pages.push(page).is_err();
    }

    /// Step 1: all translations of the space have to go.
    #[inline]
    pub(crate) fn record_everything(&mut self) {
        if !self.is_unreachable {
            self.must_reach(Reach::Active);
            self.are_pages_many = true;
        }
    }

    /// Step 1: `frame` was mapped. This reference is given back when no CPU can reach it any more.
    #[inline]
    pub fn release(&mut self, frame: Frame) {
        if self.is_unreachable {
            drop(frame);
            return;
        }
        self.is_empty = false;
        if let Err(frame) = self.frames.push(frame) {
            self.release_linked_elsewhere(frame);
        }
    }

    /// Keeps a shared frame that another batch has linked. If there are too many of them, completes what there is so
    /// far.
    #[cold]
    fn release_linked_elsewhere(&mut self, frame: Frame) {
        if let Err(frame) = self.linked_elsewhere.push(frame) {
            self.complete();
            self.release(frame);
        }
    }

    /// Step 1: `big` was mapped; as [`FlushBatch::release`]. If there are too many, completes what there is so far.
    #[cold]
    pub fn release_big(&mut self, big: BigFrame) {
        if self.is_unreachable {
            drop(big);
            return;
        }
        self.is_empty = false;
        if let Err(big) = self.big_frames.push(big) {
            self.complete();
            self.release_big(big);
        }
    }

    /// Step 1: `table` was a page-table page. If this is its last reference, what it still maps goes with it, and must have
    /// been recorded.
    #[inline]
    pub(crate) fn release_table(&mut self, table: Frame) {
        if self.is_unreachable {
            drop_table(table);
            return;
        }
        self.must_reach(Reach::Loaded);
        if let Err(table) = self.tables.push(table) {
            self.release_linked_elsewhere(table);
        }
    }

    #[inline]
    fn must_reach(&mut self, reach: Reach) {
        self.reach = self.reach.max(Some(reach));
        self.is_empty = false;
    }

    /// Makes every CPU that has the space loaded leave it, and waits for that. From then on nothing needs to be
    /// flushed, and what is released is given back at once (TLB-1). The caller has seen to it that no CPU enters the
    /// space any more.
    pub(crate) fn make_unreachable(&mut self) {
        self.complete();
        let pin = pin::pin();
        let published = self.space.publish(Reach::Loaded);
        let request = self.ask_others(&pin, published.targets, leave_for_another);
        leave_space(self.space, &irq::disable());
        drop(request);
        self.is_unreachable = true;
    }

    /// Step 2: this CPU forgets what was recorded, and the other CPUs that it concerns are asked to.
    pub fn dispatch<'p>(&'p mut self, pin: &'p Pinned) -> Dispatched<'p, 'a> {
        let request = self.reach.and_then(|reach| self.flush(pin, reach));
        let batch = self;
        Dispatched { request, batch }
    }

    /// Steps 2 and 3. The batch is empty then, and can be used again.
    #[inline]
    pub fn complete(&mut self) {
        if !self.is_empty() {
            self.complete_collected();
        }
    }

    fn complete_collected(&mut self) {
        let pin = pin::pin();
        let request = self.reach.and_then(|reach| self.flush(&pin, reach));
        if let Some(request) = request {
            request.wait();
        }
        self.give_back();
    }

    /// Flushes on this CPU, and asks the others that `reach` concerns; returns the request if there are any.
    fn flush<'p>(&self, pin: &'p Pinned, reach: Reach) -> Option<Pending<'p, Ring>> {
        let published = self.space.publish(reach);
        let request = self.ask_others(pin, published.targets, flush_for_another);
        // While the others are at it. At boot, before there is an address space, there is nothing to flush either.
        if TLBS.is_ready() {
            let tlb = TLBS.get(pin);
            // Without a page, it is page-table pages that the page walker has to forget.
            let are_few = !self.pages.is_empty() && !self.are_pages_many;
            let pages = are_few.then_some(self.pages.as_slice());
            tlb.flush_own(
                self.space,
                published.generation,
                reach,
                pages,
                &ThisProcessor,
            );
        }
        request
    }

    /// Asks those of `targets` that are other CPUs to run `function` for this space; `None` if there are none.
    #[inline]
    fn ask_others<'p>(
        &self,
        pin: &'p Pinned,
        mut targets: CpuSet,
        function: fn(&Words),
    ) -> Option<Pending<'p, Ring>> {
        targets.remove(pin.cpu());
        (!targets.is_empty()).then(|| {
            let address = ptr::from_ref(self.space).expose_provenance();
            let words = [address, 0, 0, 0];
            mailbox::send_flush(pin, &targets, Request { function, words })
        })
    }

    /// Step 3, when all CPUs have answered: gives everything back (TLB-1).
    fn give_back(&mut self) {
        while let Some(table) = self.tables.pop() {
            drop_table(table);
        }
        while let Some(frame) = self.frames.pop() {
            drop(frame);
        }
        while let Some(frame) = self.linked_elsewhere.pop() {
            match frame.kind() {
                FrameKind::PageTable => drop_table(frame),
                _ => drop(frame),
            }
        }
        while let Some(big) = self.big_frames.pop() {
            drop(big);
        }
        self.pages.clear();
        self.are_pages_many = false;
        self.reach = None;
        self.is_empty = true;
    }
}

impl Drop for FlushBatch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.complete();
    }
}

impl fmt::Debug for FlushBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushBatch")
            .field("space", &self.space())
            .field("reach", &self.reach)
            .field("frames", &self.frames)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// A batch under way: dropping this, or [`Dispatched::wait`], ends when every CPU that it concerns has answered, and
/// gives back what the batch had collected.
#[must_use = "dropping it waits at once"]
pub struct Dispatched<'p, 'a> {
    request: Option<Pending<'p, Ring>>,
    batch: &'p mut FlushBatch<'a>,
}

impl Dispatched<'_, '_> {
    /// Step 3: waits for the other CPUs, and gives everything back.
    pub fn wait(self) {
        drop(self);
    }
}

impl Drop for Dispatched<'_, '_> {
    fn drop(&mut self) {
        // Dropping a request waits for it.
        drop(self.request.take());
        self.batch.give_back();
    }
}
