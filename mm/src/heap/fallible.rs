//! `Box` and `Arc` that report the want of memory instead of panicking.
//!
//! Stable Rust has no fallible `Arc::new`. So the memory is set aside first, in a slot of this CPU where the allocator
//! looks before anything else; then `Arc::new`, which asks for exactly that, cannot fail. In between the thread is
//! pinned, and nothing else allocates on this CPU: the value exists already, and interrupt handlers do not allocate.
//! Should `Arc::new` ask for something else after all, it takes its chance with the heap, and what was set aside goes
//! back.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use smp::{PerCpu, Pinned, pin};

use super::KernelHeap;
use crate::error::NoMemory;
use crate::hw;

/// `Arc::new(value)`, or `NoMemory`; `value` is dropped then.
pub fn try_arc<T>(value: T) -> Result<Arc<T>, NoMemory> {
    // What `Arc` allocates: two counts, then the value.
    let counts = Layout::new::<[AtomicUsize; 2]>();
    let (layout, _) = counts.extend(Layout::new::<T>()).map_err(|_| NoMemory)?;
    let _aside = set_aside_if_global(layout.pad_to_align())?;
    Ok(Arc::new(value))
}

/// `Box::new(value)`, or `NoMemory`; `value` is dropped then.
pub fn try_box<T>(value: T) -> Result<Box<T>, NoMemory> {
    let _aside = set_aside_if_global(Layout::new::<T>())?;
    Ok(Box::new(value))
}

/// Memory set aside for the next allocation on a CPU. Owned by that CPU: Relaxed accesses by one thread at a time.
struct Slot {
    block: AtomicPtr<u8>,
    size: AtomicUsize,
    align: AtomicUsize,
}

static SLOTS: PerCpu<Slot> = PerCpu::new();

/// Gives `cpus` CPUs their slots. Before that, `try_arc` and `try_box` can panic.
pub(crate) fn init(cpus: usize) -> Result<(), NoMemory> {
    let empty = |_| Slot {
        block: AtomicPtr::new(ptr::null_mut()),
        size: AtomicUsize::new(0),
        align: AtomicUsize::new(0),
    };
    SLOTS.init(cpus, empty).map_err(|_| NoMemory)
}

/// While it lives, the next allocation of its layout on this CPU does not fail.
pub(super) struct SetAside {
    layout: Layout,
    pin: Pinned,
}

/// `Box` and `Arc` of the host's tests come from the host's heap.
fn set_aside_if_global(layout: Layout) -> Result<Option<SetAside>, NoMemory> {
    if !hw::USES_KERNEL_HEAP || layout.size() == 0 || !SLOTS.is_ready() {
        return Ok(None);
    }
    set_aside(layout).map(Some)
}

/// Sets memory aside. The size is not 0, the slots are ready, and nothing is set aside on this CPU.
pub(super) fn set_aside(layout: Layout) -> Result<SetAside, NoMemory> {
    let pin = pin::pin();
    // SAFETY: the size is not 0.
    let block = unsafe { KernelHeap.alloc(layout) };
    if block.is_null() {
        return Err(NoMemory);
    }
    let slot = SLOTS.get(&pin);
    slot.size.store(layout.size(), Ordering::Relaxed);
    slot.align.store(layout.align(), Ordering::Relaxed);
    slot.block.store(block, Ordering::Relaxed);
    Ok(SetAside { layout, pin })
}

impl Drop for SetAside {
    fn drop(&mut self) {
        let slot = SLOTS.get(&self.pin);
        let block = slot.block.load(Ordering::Relaxed);
        if !block.is_null() {
            slot.block.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: it was allocated with this layout, and nobody took it.
            unsafe { KernelHeap.dealloc(block, self.layout) };
        }
    }
}

/// What was set aside on this CPU, if it is what `layout` asks for.
#[inline]
pub(super) fn take_set_aside(layout: Layout) -> Option<NonNull<u8>> {
    if !SLOTS.is_ready() {
        return None;
    }
    let pin = pin::pin();
    let slot = SLOTS.get(&pin);
    let block = NonNull::new(slot.block.load(Ordering::Relaxed))?;
    let is_meant = slot.size.load(Ordering::Relaxed) == layout.size()
        && slot.align.load(Ordering::Relaxed) == layout.align();
    is_meant.then(|| {
        slot.block.store(ptr::null_mut(), Ordering::Relaxed);
        block
    })
}
