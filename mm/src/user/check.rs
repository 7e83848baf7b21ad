//! USER-1: a user's address names user memory.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use crate::addr::is_user_bytes;
use crate::user::BadUserAddress;

/// Whether a user may name any memory (`break=usercopy`).
static IS_BROKEN: AtomicBool = AtomicBool::new(false);

/// Lets users name any memory, the kernel's too (`break=usercopy`).
pub fn break_user_copies() {
    // Relaxed: set at boot, before the first process.
    IS_BROKEN.store(true, Ordering::Relaxed);
}

/// Checks USER-1 for `len_bytes` bytes from `address` on.
#[inline]
pub(super) fn check_user_bytes(address: usize, len_bytes: usize) -> Result<(), BadUserAddress> {
    if is_user_bytes(address, len_bytes) {
        Ok(())
    } else {
        refuse(address, len_bytes)
    }
}

#[cold]
fn refuse(address: usize, len_bytes: usize) -> Result<(), BadUserAddress> {
    // Relaxed: set at boot.
    if IS_BROKEN.load(Ordering::Relaxed) && address.checked_add(len_bytes).is_some() {
        Ok(())
    } else {
        Err(BadUserAddress)
    }
}
