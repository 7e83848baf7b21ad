//! Typed user pointers, and ranges of user bytes.

use core::fmt;
use core::marker::PhantomData;

use crate::frame::Frame;
use crate::user::check::check_user_bytes;
use crate::user::copy::{
    copy_from_frame, copy_in, copy_into_frame, copy_out, copy_value_in, copy_value_out,
};
use crate::user::{BadUserAddress, PlainData};

/// A user's claim that a `T` lies at an address.
///
/// The address need not be aligned, and is looked at only by [`UserPtr::read`] and [`UserPtr::write`].
pub struct UserPtr<T> {
    address: usize,
    target: PhantomData<fn() -> T>,
}

impl<T: PlainData> UserPtr<T> {
    /// The claim, unchecked.
    pub const fn new(address: usize) -> UserPtr<T> {
        UserPtr {
            address,
            target: PhantomData,
        }
    }

    /// Whether the user passed a null pointer, which some system calls take for "not wanted".
    pub const fn is_null(self) -> bool {
        self.address == 0
    }

    /// Copies the value in. What the user changes afterwards changes nothing in the copy.
    ///
    /// # Errors
    /// Not all of it lies in memory that the user may read.
    pub fn read(self) -> Result<T, BadUserAddress> {
        copy_value_in(self.address)
    }

    /// Copies `value` out.
    ///
    /// # Errors
    /// Not all of its place is memory that the user may write. Some bytes of it may be there then.
    pub fn write(self, value: T) -> Result<(), BadUserAddress> {
        copy_value_out(self.address, &value, size_of::<T>())
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> fmt::Debug for UserPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserPtr({:#x})", self.address)
    }
}

/// A user's claim to a range of bytes, which lies in user space (USER-1) but need not be mapped.
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct UserSlice {
    address: usize,
    len_bytes: usize,
}

impl UserSlice {
    /// The bytes `[address, address + len_bytes)`. An empty slice may have any address, since nobody looks there.
    ///
    /// # Errors
    /// The range wraps or is not wholly in user space.
    #[inline]
    pub fn new(address: usize, len_bytes: usize) -> Result<UserSlice, BadUserAddress> {
        if len_bytes > 0 {
            check_user_bytes(address, len_bytes)?;
        }
        Ok(UserSlice { address, len_bytes })
    }

    /// Its length in bytes.
    pub const fn len(self) -> usize {
        self.len_bytes
    }

    /// Whether it has no bytes.
    pub const fn is_empty(self) -> bool {
        self.len_bytes == 0
    }

    /// The first `len_bytes` bytes and the rest. If there are fewer, the first part is all there is.
    #[inline]
    pub fn split_at(self, len_bytes: usize) -> (UserSlice, UserSlice) {
        let len_front = len_bytes.min(self.len_bytes);
        let front = UserSlice {
            len_bytes: len_front,
            ..self
        };
        // Cannot wrap: the slice ends in user space, or is empty and nothing is added.
        let back = UserSlice {
            address: self.address + len_front,
            len_bytes: self.len_bytes - len_front,
        };
        (front, back)
    }

    /// Copies bytes in, from the start, as many as the slice has and `into` takes; returns how many.
    ///
    /// # Errors
    /// Not all of the bytes lie in memory that the user may read. The contents of `into` mean nothing then.
    pub fn copy_in(self, into: &mut [u8]) -> Result<usize, BadUserAddress> {
        let len_bytes = self.len_bytes.min(into.len());
        match into.get_mut(..len_bytes) {
            Some(part) if !part.is_empty() => copy_in(part, self.address)?,
            _ => {}
        }
        Ok(len_bytes)
    }

    /// Copies bytes out, to the start, as many as `from` has and the slice takes; returns how many.
    ///
    /// # Errors
    /// Not all of their place is memory that the user may write. Some of them may be there then.
    pub fn copy_out(self, from: &[u8]) -> Result<usize, BadUserAddress> {
        let len_bytes = self.len_bytes.min(from.len());
        match from.get(..len_bytes) {
            Some(part) if !part.is_empty() => copy_out(self.address, part)?,
            _ => {}
        }
        Ok(len_bytes)
    }

    /// Copies it to `offset` in `frame`, which holds a user's bytes and means nothing to the kernel. Panics unless there
    /// is room.
    ///
    /// Returns how many bytes: all, or, if there is an address that the user may not read, as many as were copied in
    /// words before that. The frame is as it was beyond them.
    #[inline]
    #[must_use = "not all may have been copied"]
    pub fn copy_in_frame(self, frame: &Frame, offset: usize) -> usize {
        if self.is_empty() {
            return 0;
        }
        // SAFETY: USER-1 holds for every slice that is not empty, since `new`.
        unsafe { copy_into_frame(frame, offset, self.address, self.len_bytes) }
    }

    /// Fills all of it with the bytes of `frame` from `offset` on. Panics unless there are as many.
    ///
    /// # Errors
    /// Not all of it is memory that the user may write. Some bytes of it may be there then: the first ones, none behind
    /// the bad address.
    #[inline]
    pub fn copy_out_frame(self, frame: &Frame, offset: usize) -> Result<(), BadUserAddress> {
        if self.is_empty() {
            return Ok(());
        }
        // SAFETY: USER-1 holds for every slice that is not empty, since `new`.
        unsafe { copy_from_frame(self.address, frame, offset, self.len_bytes) }
    }
}

/// Copies out as much of `value` as `into` takes, from its first byte on: for structures that grow at their end.
///
/// # Errors
/// Not all of its place is memory that the user may write. Some of it may be there then.
pub fn copy_out_prefix<T: PlainData>(into: UserSlice, value: &T) -> Result<(), BadUserAddress> {
    if into.is_empty() {
        Ok(())
    } else {
        copy_value_out(into.address, value, into.len_bytes.min(size_of::<T>()))
    }
}

impl fmt::Debug for UserSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UserSlice({:#x}, {} bytes)",
            self.address, self.len_bytes
        )
    }
}
