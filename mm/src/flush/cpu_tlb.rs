//! What one CPU knows of its own translations: the switching CPU's side of TLB-2, and the receiver's of a flush.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use smp::{CpuId, IrqOff};

use crate::addr::VirtAddr;
use crate::flush::active::{ActiveCpus, Reach, SpaceId};
use crate::flush::machine::Processor;

/// What one CPU knows of its translations. Only that CPU uses it.
// So its words need no ordering. A handler of the same CPU that comes in between may only make `seen` newer, or leave
// the space; overwriting `seen` by an older value costs one more flush and does no harm.
#[derive(Debug)]
pub struct CpuTlb {
    cpu: CpuId,
    /// The space whose root is loaded; null while it is the kernel's own.
    ///
    /// While it is not null, this CPU is in that space's `loaded` set. `ActiveCpus` is not dropped before it has left.
    loaded: AtomicPtr<ActiveCpus>,
    /// Whether this CPU is idle in that space.
    is_idle: AtomicBool,
    /// The translations of that space are not older than this generation of it.
    seen: AtomicU64,
}

/// What a CPU has done to its translations.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[must_use = "flushes are counted"]
pub enum Flushed {
    /// Nothing: there was nothing to forget.
    Nothing,
    /// So many pages, one by one.
    Pages(usize),
    /// Everything.
    Everything,
}

impl CpuTlb {
    /// Of a CPU that has the kernel's own root loaded.
    pub const fn new(cpu: CpuId) -> CpuTlb {
        CpuTlb {
            cpu,
            loaded: AtomicPtr::new(ptr::null_mut()),
            is_idle: AtomicBool::new(false),
            seen: AtomicU64::new(0),
        }
    }

    /// Whether this CPU has the root of the space of `active` loaded.
    #[inline]
    pub fn has_loaded(&self, active: &ActiveCpus) -> bool {
        ptr::eq(self.loaded.load(Ordering::Relaxed), active)
    }

    /// The space whose root is loaded. It stays as long as interrupts are off and this CPU loads no other.
    #[inline]
    fn loaded<'o>(&self, _off: &'o IrqOff) -> Option<&'o ActiveCpus> {
        // SAFETY: null, or a space in whose `loaded` set this CPU is: it has not been dropped, nor moved (`enter`). No
        // handler comes in between and leaves the space.
        unsafe { self.loaded.load(Ordering::Relaxed).as_ref() }
    }

    /// Makes this CPU use the space of `next`: if it is not loaded already, `load_root` loads its root. TLB-2.
    ///
    /// # Safety
    /// `next` is not moved as long as this CPU has the space loaded (`ActiveCpus::loaded`).
    #[inline]
    pub unsafe fn enter(
        &self,
        next: &ActiveCpus,
        _off: &IrqOff,
        processor: &impl Processor,
        load_root: impl FnOnce(),
    ) -> Flushed {
        if self.has_loaded(next) {
            return self.leave_idleness(next, processor);
        }
        next.add_loaded(self.cpu);
        let generation = next.generation();
        load_root();
        let previous = self
            .loaded
            .swap(ptr::from_ref(next).cast_mut(), Ordering::Relaxed);
        self.is_idle.store(false, Ordering::Relaxed);
        self.seen.store(generation, Ordering::Relaxed);
        self.forget(previous);
        Flushed::Nothing
    }

    #[inline]
    fn leave_idleness(&self, space: &ActiveCpus, processor: &impl Processor) -> Flushed {
        if !self.is_idle.load(Ordering::Relaxed) {
            return Flushed::Nothing;
        }
        self.is_idle.store(false, Ordering::Relaxed);
        // TLB-2: the bit before the generation.
        space.add_active(self.cpu);
        self.catch_up(space, processor)
    }

    /// This CPU goes on to run the kernel's own threads, or nothing, and keeps the root. It uses no user memory until
    /// it enters a space again.
    #[inline]
    pub fn become_idle(&self, off: &IrqOff) {
        if let Some(space) = self.loaded(off)
            && !self.is_idle.swap(true, Ordering::Relaxed)
        {
            space.remove_active(self.cpu);
        }
    }

    /// Makes this CPU use the kernel's own root, which `load_kernel_root` loads, if it has another one loaded.
    #[inline]
    pub fn leave(&self, _off: &IrqOff, load_kernel_root: impl FnOnce()) {
        if !self.loaded.load(Ordering::Relaxed).is_null() {
            load_kernel_root();
            self.forget(self.loaded.swap(ptr::null_mut(), Ordering::Relaxed));
        }
    }

    /// As [`CpuTlb::leave`], if it is the space with this number that is loaded.
    #[inline]
    pub fn leave_if_loaded(&self, space: SpaceId, off: &IrqOff, load_kernel_root: impl FnOnce()) {
        if self.loaded(off).is_some_and(|own| own.space() == space) {
            self.leave(off, load_kernel_root);
        }
    }

    /// Leaves the sets of the space that was loaded before.
    #[inline]
    fn forget(&self, previous: *mut ActiveCpus) {
        // SAFETY: null, or a space in whose `loaded` set this CPU still is: it has not been dropped, nor moved
        // (`enter`).
        if let Some(previous) = unsafe { previous.as_ref() } {
            previous.remove_loaded(self.cpu);
        }
    }

    /// Flushes everything, unless this CPU has flushed since `space`, which it has loaded, last changed.
    #[cold]
    fn catch_up(&self, space: &ActiveCpus, processor: &impl Processor) -> Flushed {
        // First read, then flush, then store what was read.
        let generation = space.generation();
        if self.seen.load(Ordering::Relaxed) == generation {
            return Flushed::Nothing;
        }
        processor.flush_all();
        self.seen.store(generation, Ordering::Relaxed);
        Flushed::Everything
    }

    /// Flushes what has been taken away from `space`, which this CPU has loaded, as its generation `generation`:
    /// the pages at the addresses `pages`, or everything if there are none. Only if this CPU has seen all that was taken
    /// away before are the pages enough.
    #[inline]
    fn flush(
        &self,
        space: &ActiveCpus,
        generation: u64,
        pages: &[usize],
        processor: &impl Processor,
    ) -> Flushed {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen >= generation {
            return Flushed::Nothing;
        }
        if seen + 1 != generation || pages.is_empty() {
            return self.catch_up(space, processor);
        }
        for page in pages {
            processor.flush_page(VirtAddr::new(*page as u64));
        }
        self.seen.store(generation, Ordering::Relaxed);
        Flushed::Pages(pages.len())
    }

    /// Flushes what another CPU has taken away from the space with the number `space` as `generation`: `pages`, or
    /// everything if there are none. Does nothing if this CPU has something else loaded, or has flushed since.
    #[inline]
    pub fn flush_for_another(
        &self,
        space: SpaceId,
        generation: u64,
        pages: &[usize],
        processor: &impl Processor,
        off: &IrqOff,
    ) -> Flushed {
        match self.loaded(off) {
            Some(own) if own.space() == space => self.flush(own, generation, pages, processor),
            _ => Flushed::Nothing,
        }
    }

    /// Flushes what this CPU has itself taken away from `space` as `generation`: `pages`, or everything if there are
    /// none. Without page-table pages among it, an idle CPU leaves that for when it catches up.
    #[inline]
    pub fn flush_own(
        &self,
        space: &ActiveCpus,
        generation: u64,
        reach: Reach,
        pages: &[usize],
        processor: &impl Processor,
    ) -> Flushed {
        let is_idle = self.is_idle.load(Ordering::Relaxed);
        if !self.has_loaded(space) || (is_idle && reach == Reach::Active) {
            return Flushed::Nothing;
        }
        self.flush(space, generation, pages, processor)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use smp::{CpuId, CpuSet, irq};

    use super::{CpuTlb, Flushed, Processor};
    use crate::addr::{USER_START, VirtAddr};
    use crate::flush::active::{ActiveCpus, Reach, SpaceId};

    /// Counts.
    #[derive(Default)]
    struct Flushes {
        pages: Cell<usize>,
        all: Cell<usize>,
    }

    impl Processor for Flushes {
        fn flush_page(&self, _page: VirtAddr) {
            self.pages.set(self.pages.get() + 1);
        }

        fn flush_all(&self) {
            self.all.set(self.all.get() + 1);
        }
    }

    /// What a CPU that has loaded a space and seen all of it flushes for each of `requests`, generations of that space.
    fn flushed_for(requests: &[u64]) -> (Vec<Flushed>, Flushes) {
        let (space, tlb) = (ActiveCpus::new(SpaceId::fresh()), CpuTlb::new(CpuId::BOOT));
        let (off, processor) = (irq::disable(), Flushes::default());
        // SAFETY: the space is left below.
        let entered = unsafe { tlb.enter(&space, &off, &processor, || ()) };
        assert_eq!(entered, Flushed::Nothing);
        let newest = requests.iter().copied().max().unwrap_or(0);
        (0..newest).for_each(|_| {
            space.publish(Reach::Active, CpuId::BOOT, &mut CpuSet::new());
        });
        let answers = requests.iter().map(|&generation| {
            let pages = [USER_START.as_u64() as usize; 3];
            tlb.flush_for_another(space.space(), generation, &pages, &processor, &off)
        });
        let answers = answers.collect();
        tlb.leave(&off, || ());
        (answers, processor)
    }

    #[test]
    fn requests_in_order_are_flushed_page_by_page() {
        let (answers, flushes) = flushed_for(&[1, 2]);
        assert_eq!(answers, [Flushed::Pages(3), Flushed::Pages(3)]);
        assert_eq!((flushes.pages.get(), flushes.all.get()), (6, 0));
    }

    #[test]
    fn a_gap_flushes_everything_once_and_the_late_request_finds_nothing_left() {
        let (answers, flushes) = flushed_for(&[3, 1, 2]);
        assert_eq!(
            answers,
            [Flushed::Everything, Flushed::Nothing, Flushed::Nothing]
        );
        assert_eq!((flushes.pages.get(), flushes.all.get()), (0, 1));
    }

    #[test]
    fn a_request_about_a_space_that_is_not_loaded_flushes_nothing() {
        let (tlb, flushes) = (CpuTlb::new(CpuId::BOOT), Flushes::default());
        let pages = [USER_START.as_u64() as usize];
        let answer = tlb.flush_for_another(SpaceId::fresh(), 1, &pages, &flushes, &irq::disable());
        assert_eq!(answer, Flushed::Nothing);
        assert_eq!((flushes.pages.get(), flushes.all.get()), (0, 0));
    }
}
