//! What each CPU runs: the owner of the running fiber, kept alive by its CPU.

use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::{Fiber, RUNNING, UNADOPTED, switch};
use crate::OutOfMemory;
use crate::irq::IrqOff;
use crate::percpu::{self, PerCpu};
use crate::pin::{self, Pinned};

/// Something that runs on a fiber of its own: a thread.
pub trait HasFiber: Send + Sync + 'static {
    /// Its fiber.
    fn fiber(&self) -> &Fiber;
}

/// Which `T` runs on which CPU. There is one of it in a kernel.
#[derive(Debug)]
pub struct Running<T> {
    slots: PerCpu<Slot<T>>,
}

/// One CPU's. Only that CPU touches it, so Relaxed loads and stores are enough; it changes with interrupts off only, so
/// an interrupt handler, too, may read it.
#[derive(Debug)]
struct Slot<T> {
    /// The runner, from `Arc::into_raw`: this CPU's share of it.
    current: AtomicPtr<T>,
    /// In between the two halves of a switch: who ran before, from `Arc::into_raw`.
    previous: AtomicPtr<T>,
    /// Likewise: the message of that switch.
    message: AtomicUsize,
    /// The idle loop, from `Arc::into_raw`. Never changes after `adopt`.
    idle: AtomicPtr<T>,
}

impl<T: HasFiber> Running<T> {
    /// No CPU runs anything yet.
    pub const fn new() -> Running<T> {
        Running {
            slots: PerCpu::new(),
        }
    }

    /// Makes room for the CPUs `0..possible_cpus`, once, at boot.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn init(&self, possible_cpus: usize) -> Result<(), OutOfMemory> {
        self.slots.init(possible_cpus, |_| Slot {
            current: AtomicPtr::new(ptr::null_mut()),
            previous: AtomicPtr::new(ptr::null_mut()),
            message: AtomicUsize::new(0),
            idle: AtomicPtr::new(ptr::null_mut()),
        })
    }

    /// Makes `idle`, whose fiber is a [`Fiber::idle`], what this CPU runs from now on: the code that calls this, on the
    /// stack on which the CPU was started. Panics if the CPU runs something already.
    pub fn adopt(&self, idle: Arc<T>, off: &IrqOff) {
        let slot = self.slots.get(off);
        let block = percpu::own_block(off);
        let fiber = idle.fiber();
        assert!(
            block.current_fiber.load(Ordering::Relaxed) == 0,
            "this CPU runs a fiber already"
        );
        // Relaxed: nothing was written before that anyone else reads.
        let adopted =
            fiber
                .state
                .compare_exchange(UNADOPTED, RUNNING, Ordering::Relaxed, Ordering::Relaxed);
        assert!(adopted.is_ok(), "an idle loop was adopted twice");
        assert!(
            block.current_fiber.load(Ordering::Relaxed) == 0,
            "this CPU runs a fiber already"
        );
        block
            .current_fiber
            .store(ptr::from_ref(fiber).expose_provenance(), Ordering::Relaxed);
        slot.idle
            .store(Arc::into_raw(idle.clone()).cast_mut(), Ordering::Relaxed);
        slot.current
            .store(Arc::into_raw(idle).cast_mut(), Ordering::Relaxed);
    }

    /// Who runs this.
    #[inline]
    pub fn current(&self) -> Arc<T> {
        let current = self.slots.get(&pin::pin()).current();
        // SAFETY: it came from `Arc::into_raw`, and while its code runs (this is its code) its CPU holds a share.
        unsafe {
            Arc::increment_strong_count(current);
            Arc::from_raw(current)
        }
    }

    /// Calls `look` with who runs this.
    #[inline]
    pub fn with_current<U>(&self, look: impl FnOnce(&T) -> U) -> U {
        let current = self.slots.get(&pin::pin()).current();
        // SAFETY: as in `current`. Should `look` switch away, it goes on only when its own fiber runs again, and then a
        // CPU holds a share again; a fiber that is freed meanwhile never goes on.
        look(unsafe { &*current })
    }

    /// Whether this CPU has adopted its idle loop, so that [`Running::current`] works.
    pub fn has_current(&self) -> bool {
        self.slots.is_ready()
            && !self
                .slots
                .get(&pin::pin())
                .current
                .load(Ordering::Relaxed)
                .is_null()
    }

    /// This CPU's idle loop.
    #[inline]
    pub fn idle(&self, pin: &Pinned) -> Arc<T> {
        let idle = self.slots.get(pin).idle.load(Ordering::Relaxed);
        assert!(!idle.is_null(), "this CPU has no idle loop yet");
        // SAFETY: `adopt` stored a share here, which is never taken back.
        unsafe {
            Arc::increment_strong_count(idle);
            Arc::from_raw(idle)
        }
    }

    /// Switches to `next`. Returns when the caller runs again, perhaps on another CPU, with the one who ran there just
    /// before, which is suspended now, and with the `message` that it gave. Panics if `next` is not suspended
    /// (FIBER-1).
    ///
    /// `off` is dropped, where it was made, by whoever runs then.
    #[inline(always)]
    pub fn switch_to(&self, next: Arc<T>, message: usize, off: &IrqOff) -> (Arc<T>, usize) {
        let slot = self.slots.get(off);
        let block = percpu::own_block(off);
        let previous = slot.current();
        let previous_fiber =
            ptr::with_exposed_provenance::<Fiber>(block.current_fiber.load(Ordering::Relaxed));
        next.fiber().claim();
        let next_fiber = ptr::from_ref(next.fiber());
        next_fiber.expose_provenance();
        slot.current
            .store(Arc::into_raw(next).cast_mut(), Ordering::Relaxed);
        // For a fiber that begins; one that goes on gets both in registers.
        slot.previous.store(previous, Ordering::Relaxed);
        slot.message.store(message, Ordering::Relaxed);
        // SAFETY: 1. `current_fiber` is the fiber that this CPU switched to or adopted last; 2. claimed above; 3. the
        // slot holds a share of each: of `next` until it is switched away from, of `previous` until the code after the
        // switch has it, on a stack that is not that of `previous`.
        let (before, message) = unsafe {
            switch::switch(
                &*previous_fiber,
                next_fiber,
                (previous.cast(), message),
                off,
            )
        };
        // SAFETY: whoever switched here passed its share of the one who ran then, by this very function with the same
        // `T`: a CPU adopts in one `Running` only.
        (unsafe { Arc::from_raw(before.cast::<T>()) }, message)
    }

    /// The first thing that a new fiber does: takes over what every switch hands to the code that runs next, which is
    /// who ran before, its message, and interrupts that are off. Panics the second time.
    pub fn begin(&self) -> (Arc<T>, usize, IrqOff) {
        let begun =
            self.with_current(|current| current.fiber().begun.swap(true, Ordering::Relaxed));
        assert!(!begun, "a fiber began twice");
        // SAFETY: 1. the switch to this fiber was made with interrupts off, and no safe code can have turned them on; 2.
        // the fiber has just begun, so nothing lies on its stack.
        let off = unsafe { IrqOff::adopt() };
        let slot = self.slots.get(&off);
        let previous = slot.previous.load(Ordering::Relaxed);
        let message = slot.message.load(Ordering::Relaxed);
        // SAFETY: `switch_to` put the share of the previous one here just before it switched to the caller, who is the
        // only one to take it, since it begins once.
        (unsafe { Arc::from_raw(previous) }, message, off)
    }
}

impl<T> Slot<T> {
    #[inline(always)]
    fn current(&self) -> *mut T {
        let current = self.current.load(Ordering::Relaxed);
        assert!(!current.is_null(), "this CPU runs nothing yet");
        current
    }
}

impl<T: HasFiber> Default for Running<T> {
    fn default() -> Running<T> {
        Running::new()
    }
}
