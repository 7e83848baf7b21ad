//! What one CPU knows of its own translations: the switching CPU's side of TLB-2, and the receiver's of a flush.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use smp::{CpuId, IrqOff};

use crate::addr::VirtAddr;
use crate::flush::active::{ActiveCpus, Reach};

/// What a CPU can be told about translations: the real one, or a model's.
pub trait Processor {
    /// Forgets the translation of one page, and what the page walker keeps of page-table pages.
    fn flush_page(&self, page: VirtAddr);
    /// Forgets all translations of user memory, and what the page walker keeps of page-table pages.
    fn flush_all(&self);
}

/// What one CPU knows of its translations. Only that CPU uses it.
// So its words need no ordering. A handler of the same CPU that comes in between may only make `seen` newer;
// overwriting that by an older value costs one more flush and does no harm.
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
    ) {
        if self.has_loaded(next) {
            self.leave_idleness(next, processor);
            return;
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
    }

    #[inline]
    fn leave_idleness(&self, space: &ActiveCpus, processor: &impl Processor) {
        if self.is_idle.load(Ordering::Relaxed) {
            self.is_idle.store(false, Ordering::Relaxed);
            // TLB-2: the bit before the generation.
            space.add_active(self.cpu);
            self.catch_up(space, processor);
        }
    }

    /// This CPU goes on to run the kernel's own threads, or nothing, and keeps the root. It uses no user memory until
    /// it enters a space again.
    #[inline]
    pub fn become_idle(&self, _off: &IrqOff) {
        let loaded = self.loaded.load(Ordering::Relaxed);
        // SAFETY: null, or a space in whose `loaded` set this CPU is: it has not been dropped, nor moved (`enter`).
        if let Some(space) = unsafe { loaded.as_ref() }
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

    /// Leaves the sets of the space that was loaded before.
    #[inline]
    fn forget(&self, previous: *mut ActiveCpus) {
        // SAFETY: null, or a space in whose `loaded` set this CPU still is: it has not been dropped, nor moved
        // (`enter`).
        if let Some(previous) = unsafe { previous.as_ref() } {
            previous.remove_loaded(self.cpu);
        }
    }

    /// Flushes everything, unless this CPU has something else loaded or has flushed since the space last changed.
    ///
    /// This is what a CPU does for another one; interrupts are off.
    #[inline]
    pub fn catch_up(&self, space: &ActiveCpus, processor: &impl Processor) {
        if self.has_loaded(space) {
            // First read, then flush, then store what was read.
            let generation = space.generation();
            if self.seen.load(Ordering::Relaxed) != generation {
                processor.flush_all();
                self.seen.store(generation, Ordering::Relaxed);
            }
        }
    }

    /// Flushes what this CPU has itself taken away from a space, as `generation`: `pages`, or everything if it is
    /// `None`.
    #[inline]
    pub fn flush_own(
        &self,
        space: &ActiveCpus,
        generation: u64,
        reach: Reach,
        pages: Option<&[VirtAddr]>,
        processor: &impl Processor,
    ) {
        let is_idle = self.is_idle.load(Ordering::Relaxed);
        if !self.has_loaded(space) || (is_idle && reach == Reach::Active) {
            return;
        }
        match pages {
            // Only if nothing else has been taken away that this CPU has not flushed yet.
            Some(pages) if self.seen.load(Ordering::Relaxed) + 1 == generation => {
                pages.iter().for_each(|page| processor.flush_page(*page));
                self.seen.store(generation, Ordering::Relaxed);
            }
            _ => self.catch_up(space, processor),
        }
    }
}
