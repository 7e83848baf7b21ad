//! Where the frame table is.

use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::descriptor::Descriptor;

static FIRST: AtomicPtr<Descriptor> = AtomicPtr::new(NonNull::dangling().as_ptr());
static LEN: AtomicUsize = AtomicUsize::new(0);

// Relaxed everywhere: the boot CPU sets the table before it starts another CPU, and starting one orders that.

/// Says where the table is; once, at boot.
pub(super) fn set(table: &'static [Descriptor]) {
    assert!(!is_set(), "the frame table is made once");
    FIRST.store(table.as_ptr().cast_mut(), Ordering::Relaxed);
    LEN.store(table.len(), Ordering::Relaxed);
}

/// Whether there is a table.
pub(super) fn is_set() -> bool {
    LEN.load(Ordering::Relaxed) != 0
}

/// All descriptors; none before `set`.
pub(super) fn all() -> &'static [Descriptor] {
    // SAFETY: `set` stored a slice that lives for ever. Who sees its length sees its start: see above.
    unsafe { slice::from_raw_parts(FIRST.load(Ordering::Relaxed), LEN.load(Ordering::Relaxed)) }
}

/// The descriptor of frame `number`, unchecked: this is where every allocation passes.
///
/// # Safety
/// `number` is less than the table's length.
#[inline]
pub(super) unsafe fn descriptor(number: u32) -> &'static Descriptor {
    debug_assert!(
        (number as usize) < LEN.load(Ordering::Relaxed),
        "frame {number} is beyond the table"
    );
    // SAFETY: the caller says that the table has such a descriptor.
    unsafe { &*FIRST.load(Ordering::Relaxed).add(number as usize) }
}
