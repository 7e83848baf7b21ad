//! The two copies between kernel and user memory, with the rules that hold for both (USER-1 and USER-4).

use core::mem::MaybeUninit;

use crate::frame::Frame;
use crate::hw::user_access;
use crate::user::check::check_user_bytes;
use crate::user::{BadUserAddress, PlainData};

/// Copies user memory from `address` on into all of `into`.
pub(super) fn copy_in(into: &mut [u8], address: usize) -> Result<(), BadUserAddress> {
    check(address, into.len())?;
    // SAFETY: 1. `into` is `len` bytes of kernel memory that may be written; 2. USER-1 has been checked.
    let copied = unsafe { user_access::copy_in(into.as_mut_ptr(), address, into.len()) };
    all_of(into.len(), copied)
}

/// Copies all of `from` to user memory from `address` on. After an error some of it may be there.
pub(super) fn copy_out(address: usize, from: &[u8]) -> Result<(), BadUserAddress> {
    check(address, from.len())?;
    // SAFETY: 1. `from` is `len` bytes of kernel memory that may be read; 2. USER-1 has been checked.
    let copied = unsafe { user_access::copy_out(address, from.as_ptr(), from.len()) };
    all_of(from.len(), copied)
}

/// Copies `len_bytes` bytes of user memory from `address` on to `offset` in `frame`, with others perhaps looking on.
/// Returns how many: fewer if there is a bad address. The frame has not been touched beyond them.
///
/// Panics if they do not fit.
///
/// # Safety
/// USER-1 holds for the bytes.
#[inline]
pub(super) unsafe fn copy_into_frame(
    frame: &Frame,
    offset: usize,
    address: usize,
    len_bytes: usize,
) -> usize {
    assert_may_fault();
    let into = frame.bytes_at(offset, len_bytes);
    // SAFETY: 1. the bytes lie in the frame (`bytes_at`), which is memory that `frame` keeps; whoever reads or writes
    // it meanwhile does so by raw copies as well, since it is shared with users; 2. USER-1 is the caller's promise.
    unsafe { user_access::copy_in(into, address, len_bytes) }
}

/// Copies `len_bytes` bytes from `offset` in `frame` on to user memory from `address` on, with others perhaps writing
/// them.
///
/// Panics if the frame has not that many. After an error some of them may be there.
///
/// # Safety
/// USER-1 holds for the bytes.
#[inline]
pub(super) unsafe fn copy_from_frame(
    address: usize,
    frame: &Frame,
    offset: usize,
    len_bytes: usize,
) -> Result<(), BadUserAddress> {
    assert_may_fault();
    let from = frame.bytes_at(offset, len_bytes);
    // SAFETY: as in `copy_into_frame`.
    let copied = unsafe { user_access::copy_out(address, from, len_bytes) };
    all_of(len_bytes, copied)
}

/// Copies a value in from user memory at `address`, which need not be aligned.
pub(super) fn copy_value_in<T: PlainData>(address: usize) -> Result<T, BadUserAddress> {
    check(address, size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: 1. `value` is memory of T's size that may be written; 2. USER-1 has been checked.
    let copied =
        unsafe { user_access::copy_in(value.as_mut_ptr().cast(), address, size_of::<T>()) };
    all_of(size_of::<T>(), copied)?;
    // SAFETY: all bytes of `value` have been written, and any bytes are a valid T: `PlainData`.
    Ok(unsafe { value.assume_init() })
}

/// Copies the first `len_bytes` bytes of a value, at most all of it, to user memory at `address`, which need not be
/// aligned.
pub(super) fn copy_value_out<T: PlainData>(
    address: usize,
    value: &T,
    len_bytes: usize,
) -> Result<(), BadUserAddress> {
    check(address, len_bytes)?;
    let len_bytes = len_bytes.min(size_of::<T>());
    // SAFETY: 1. `value` has at least `len_bytes` bytes, all of them initialised since `PlainData` has no padding; 2.
    // USER-1 has been checked.
    let copied = unsafe { user_access::copy_out(address, (&raw const *value).cast(), len_bytes) };
    all_of(len_bytes, copied)
}

#[inline]
fn all_of(len_bytes: usize, copied: usize) -> Result<(), BadUserAddress> {
    if copied == len_bytes {
        Ok(())
    } else {
        Err(BadUserAddress)
    }
}

#[inline]
fn check(address: usize, len_bytes: usize) -> Result<(), BadUserAddress> {
    assert_may_fault();
    check_user_bytes(address, len_bytes)
}

/// USER-4, in debug builds.
#[inline]
fn assert_may_fault() {
    smp::pin::assert_may_switch();
}
