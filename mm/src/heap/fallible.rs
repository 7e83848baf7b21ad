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
use core::ptr::NonNull;
use core::sync::atomic::AtomicUsize;

use smp::{Pinned, pin};

use super::{KernelHeap, own};
use crate::error::NoMemory;
use crate::hw;

/// `Arc::new(value)`, for paths that must not panic.
///
/// # Errors
/// [`NoMemory`]; `value` is dropped then.
#[inline(always)]
pub fn try_arc<T>(value: T) -> Result<Arc<T>, NoMemory> {
    // What `Arc` allocates: two counts, then the value.
    let counts = Layout::new::<[AtomicUsize; 2]>();
    let (layout, _) = counts.extend(Layout::new::<T>()).map_err(|_| NoMemory)?;
    let _aside = set_aside_if_global(layout.pad_to_align())?;
    Ok(Arc::new(value))
}

/// `Box::new(value)`, for paths that must not panic.
///
/// # Errors
/// [`NoMemory`]; `value` is dropped then.
pub fn try_box<T>(value: T) -> Result<Box<T>, NoMemory> {
    let _aside = set_aside_if_global(Layout::new::<T>())?;
    Ok(Box::new(value))
}

/// While it lives, the next allocation of its layout on this CPU does not fail.
pub(super) struct SetAside {
    layout: Layout,
    _pin: Pinned,
}

/// `Box` and `Arc` of the host's tests come from the host's heap; and before each CPU has its part of the heap there is
/// no slot, but nobody who could not go without memory either.
fn set_aside_if_global(layout: Layout) -> Result<Option<SetAside>, NoMemory> {
    if !hw::USES_KERNEL_HEAP || layout.size() == 0 || !own::is_ready() {
        return Ok(None);
    }
    set_aside(layout).map(Some)
}

/// Sets memory aside. The size is not 0, there are slots, and nothing is set aside on this CPU.
pub(super) fn set_aside(layout: Layout) -> Result<SetAside, NoMemory> {
    let pin = pin::pin();
    // SAFETY: the size is not 0.
    let block = NonNull::new(unsafe { KernelHeap.alloc(layout) }).ok_or(NoMemory)?;
    own::set_aside(layout, block);
    Ok(SetAside { layout, _pin: pin })
}

impl Drop for SetAside {
    fn drop(&mut self) {
        if let Some(block) = own::take_back() {
            // SAFETY: it was allocated with this layout, and nobody took it.
            unsafe { KernelHeap.dealloc(block.as_ptr(), self.layout) };
        }
    }
}
