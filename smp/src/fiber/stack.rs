//! Who owns a fiber's stack.

use core::fmt;
use core::mem::MaybeUninit;

/// Owner of a kernel stack; dropping it frees the stack.
///
/// It is kept inside of the fiber, so it has at most two words.
///
/// # Safety
/// From when it is made until it is dropped, also when it is moved:
/// 1. `top` gives the same address, a multiple of 16, each time;
/// 2. at least [`SMALLEST_STACK`](Self::SMALLEST_STACK) bytes below it are mapped and writable on every CPU;
/// 3. nobody else uses them.
pub unsafe trait KernelStackOwner: Send + 'static {
    /// No kernel stack is smaller.
    const SMALLEST_STACK: usize = 4096;

    /// The address above the stack's last byte.
    fn top(&self) -> usize;
}

type Storage = [usize; 2];

/// A [`KernelStackOwner`] whose type has been forgotten.
pub(super) struct OwnedStack {
    owner: MaybeUninit<Storage>,
    drop_owner: unsafe fn(*mut Storage),
}

impl OwnedStack {
    pub(super) fn new<S: KernelStackOwner>(owner: S) -> OwnedStack {
        const {
            assert!(
                size_of::<S>() <= size_of::<Storage>(),
                "the owner of a stack has at most two words"
            );
            assert!(align_of::<S>() <= align_of::<Storage>());
        }
        let mut storage = MaybeUninit::<Storage>::uninit();
        // SAFETY: the storage is large enough and aligned, checked above.
        unsafe { storage.as_mut_ptr().cast::<S>().write(owner) };
        OwnedStack {
            owner: storage,
            drop_owner: drop_in_storage::<S>,
        }
    }
}

/// # Safety
/// The storage holds an `S`, which nobody uses afterwards.
unsafe fn drop_in_storage<S>(storage: *mut Storage) {
    // SAFETY: the caller's condition.
    unsafe { storage.cast::<S>().drop_in_place() };
}

impl Drop for OwnedStack {
    fn drop(&mut self) {
        // SAFETY: `new` stored a value of the type for which this function was made; it is dropped once, here.
        unsafe { (self.drop_owner)(self.owner.as_mut_ptr()) };
    }
}

impl fmt::Debug for OwnedStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedStack")
    }
}
