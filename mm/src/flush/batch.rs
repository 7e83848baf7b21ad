//! [`FlushBatch`]: what a change of a page table has taken away, until no CPU can reach it any more.

use core::{fmt, mem, ptr};

use smp::mailbox::{self, Pending, Request, Ring};
use smp::{Pinned, irq, pin};

use crate::addr::VirtAddr;
use crate::flush::active::{ActiveCpus, Published, Reach, SpaceId};
use crate::flush::inline_list::InlineList;
use crate::flush::{TLBS, ThisProcessor, flush_for_another, leave_for_another, leave_space};
use crate::frame::{Frame, FrameChain};
use crate::kernel_map;

/// Up to so many pages are flushed one by one. Under QEMU a full flush costs as much as flushing nine pages, and then each page
/// that is used again costs half of that: it wins above some 14 pages (design, section 9).
const MOST_PAGES: usize = 14;

/// How many shared frames a batch can hold that some other batch has linked.
const MOST_LINKED_ELSEWHERE: usize = 16;

/// What has been taken away from the page table of one address space. See the module's page.
///
/// An empty one costs a few instructions to make and to drop.
#[must_use = "dropping a batch flushes at once"]
pub struct FlushBatch<'a> {
    space: &'a ActiveCpus,
    collected: Collected,
}

/// What a batch has collected.
struct Collected {
    /// Whose translations have to go; `None` as long as none has.
    reach: Option<Reach>,
    /// The pages whose translations have to go, if they are few.
    pages: InlineList<VirtAddr, MOST_PAGES>,
    are_pages_many: bool,
    /// Whether there is anything at all: to flush or to give back.
    is_empty: bool,
    /// Frames that were mapped.
    frames: FrameChain,
    /// Page-table pages. All their entries are empty.
    tables: FrameChain,
    /// Frames that are shared and whose link another batch uses.
    linked_elsewhere: InlineList<Frame, MOST_LINKED_ELSEWHERE>,
    /// The root, if the whole table goes.
    root: Option<Frame>,
}

impl Collected {
    #[inline]
    const fn nothing() -> Collected {
        Collected {
            reach: None,
            pages: InlineList::new(),
            are_pages_many: false,
            is_empty: true,
            frames: FrameChain::new(),
            tables: FrameChain::new(),
            linked_elsewhere: InlineList::new(),
            root: None,
        }
    }

    #[inline]
    fn must_reach(&mut self, reach: Reach) {
        self.reach = self.reach.max(Some(reach));
        self.is_empty = false;
    }
}

impl<'a> FlushBatch<'a> {
    /// An empty batch for the address space of `space`.
    #[inline]
    pub fn new(space: &'a ActiveCpus) -> FlushBatch<'a> {
        FlushBatch {
            space,
            collected: Collected::nothing(),
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
        self.collected.is_empty
    }

    /// Step 1: the translation of the page at `page`, or of the big page that contains it, has to go.
    #[inline]
    pub fn record(&mut self, page: VirtAddr) {
        self.collected.must_reach(Reach::Active);
        if self.collected.pages.push(page).is_err() {
            self.collected.are_pages_many = true;
        }
    }

    /// Step 1: `frame` was mapped. This reference is given back when no CPU can reach it any more.
    #[inline]
    pub fn release(&mut self, frame: Frame) {
        self.collected.is_empty = false;
        if let Err(frame) = self.collected.frames.push(frame) {
            self.release_linked_elsewhere(frame);
        }
    }

    /// Keeps a shared frame that another batch has linked. If there are too many of them, completes what there is so far.
    #[cold]
    fn release_linked_elsewhere(&mut self, frame: Frame) {
        if let Err(frame) = self.collected.linked_elsewhere.push(frame) {
            self.complete();
            self.release(frame);
        }
    }

    /// Step 1: `table` was a page-table page, and all its entries are empty.
    #[inline]
    pub(crate) fn release_table(&mut self, table: Frame) {
        self.collected.must_reach(Reach::Loaded);
        if let Err(table) = self.collected.tables.push(table) {
            self.release_linked_elsewhere(table);
        }
    }

    /// Step 1: `root` was the root of the page table, which is empty. The CPUs that have it loaded leave the space.
    pub(crate) fn release_root(&mut self, root: Frame) {
        self.collected.must_reach(Reach::Loaded);
        self.collected.root = Some(root);
    }

    /// Step 2: this CPU forgets what was recorded, and the other CPUs that it concerns are asked to.
    pub fn dispatch<'p>(&'p mut self, pin: &'p Pinned) -> Dispatched<'p, 'a> {
        let request = self
            .collected
            .reach
            .and_then(|reach| self.flush(pin, reach));
        Dispatched {
            request,
            batch: self,
        }
    }

    /// Steps 2 and 3. The batch is empty then, and can be used again.
    #[inline]
    pub fn complete(&mut self) {
        if !self.is_empty() {
            self.complete_collected();
        }
    }

    fn complete_collected(&mut self) {
        self.dispatch(&pin::pin()).wait();
    }

    /// Flushes on this CPU, and asks the others that `reach` concerns; returns the request if there are any.
    fn flush<'p>(&self, pin: &'p Pinned, reach: Reach) -> Option<Pending<'p, Ring>> {
        let published = self.space.publish(reach);
        let function = if self.collected.root.is_some() {
            leave_for_another
        } else {
            flush_for_another
        };
        let is_for_others = published.targets.iter().any(|cpu| cpu != pin.cpu());
        let request = is_for_others.then(|| {
            let address = ptr::from_ref(self.space).expose_provenance();
            mailbox::send_flush(
                pin,
                &published.targets,
                Request {
                    function,
                    words: [address, 0, 0, 0],
                },
            )
        });
        // While the others are at it.
        self.flush_own(pin, &published, reach);
        request
    }

    fn flush_own(&self, pin: &Pinned, published: &Published, reach: Reach) {
        if !TLBS.is_ready() {
            // At boot, before there is an address space.
            return;
        }
        if self.collected.root.is_some() {
            leave_space(self.space, &irq::disable());
            return;
        }
        let pages = self.collected.pages.as_slice();
        // Without a page, it is page-table pages that the page walker has to forget.
        let are_few = !pages.is_empty() && !self.collected.are_pages_many;
        let pages = are_few.then_some(pages);
        TLBS.get(pin).flush_own(
            self.space,
            published.generation,
            reach,
            pages,
            &ThisProcessor,
        );
    }

    /// Step 3, when all CPUs have answered: gives everything back (TLB-1).
    fn give_back(&mut self) {
        let mut collected = mem::replace(&mut self.collected, Collected::nothing());
        while let Some(table) = collected.tables.pop() {
            // SAFETY: its entries were all empty when it was released, and since then only page walkers have looked at it.
            unsafe { table.drop_zeroed() };
        }
        if let Some(root) = collected.root.take() {
            kernel_map::entries().clear(&root);
            // SAFETY: the user's entries were empty when it was released, and the kernel's are now.
            unsafe { root.drop_zeroed() };
        }
        // The frames are given back by being dropped.
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
            .field("reach", &self.collected.reach)
            .field("frames", &self.collected.frames)
            .field("tables", &self.collected.tables)
            .finish_non_exhaustive()
    }
}

/// A batch under way: dropping this, or [`Dispatched::wait`], ends when every CPU that it concerns has answered, and gives back
/// what the batch had collected.
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
