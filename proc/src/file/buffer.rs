//! The other side of a read or a write: user memory for system calls, kernel memory for the kernel's own use.
//!
//! Either kind is used up from its start. Bytes move directly between it and the page of a file or pipe. A copy that
//! moves less than it was asked to has met a bad user address, and says how many bytes it moved. A file or pipe has not
//! been touched beyond them, whatever other threads map and unmap meanwhile.

use mm::addr::PAGE_SIZE;
use mm::frame::Frame;
use mm::user::{BadUserAddress, UserSlice};

/// Where a read puts its bytes.
pub enum ReadBuffer<'a> {
    /// A user's memory.
    User(UserSlice),
    /// The kernel's.
    Kernel(&'a mut [u8]),
}

/// Where a write takes its bytes from.
pub enum WriteBuffer<'a> {
    /// A user's memory.
    User(UserSlice),
    /// The kernel's.
    Kernel(&'a [u8]),
}

/// Where the bytes of a file come from.
#[derive(Copy, Clone)]
pub(crate) enum Source<'a> {
    /// From this offset in a frame.
    Frame(&'a Frame, usize),
    /// These bytes.
    Bytes(&'a [u8]),
    /// Zeroes.
    Zeroes,
}

static ZEROES: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

impl ReadBuffer<'_> {
    /// How many bytes it still takes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            ReadBuffer::User(slice) => slice.len(),
            ReadBuffer::Kernel(bytes) => bytes.len(),
        }
    }

    /// Whether it takes no more.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is a user's memory.
    pub(crate) fn is_users(&self) -> bool {
        matches!(self, ReadBuffer::User(_))
    }

    /// Puts `len` bytes of `source`, which has as many and at most a page, at the start of what is left, which takes as
    /// many. Returns how many were put.
    #[inline(always)]
    pub(crate) fn put(&mut self, source: Source<'_>, len: usize) -> usize {
        match self {
            ReadBuffer::User(slice) => {
                let (front, rest) = slice.split_at(len);
                if copy_out(front, source).is_ok() {
                    *slice = rest;
                    return len;
                }
                let put =
                    copy_exactly(front, move |byte, index| copy_out(byte, source.skip(index)));
                *slice = slice.split_at(put).1;
                put
            }
            ReadBuffer::Kernel(bytes) => {
                let Some((front, rest)) = core::mem::take(bytes).split_at_mut_checked(len) else {
                    return 0;
                };
                match source {
                    Source::Frame(frame, offset) => frame.read_bytes(offset, front),
                    Source::Bytes(source) => {
                        if let Some(source) = source.get(..len) {
                            front.copy_from_slice(source);
                        }
                    }
                    Source::Zeroes => front.fill(0),
                }
                *bytes = rest;
                len
            }
        }
    }
}

impl WriteBuffer<'_> {
    /// How many bytes it still has.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            WriteBuffer::User(slice) => slice.len(),
            WriteBuffer::Kernel(bytes) => bytes.len(),
        }
    }

    /// Whether it has no more.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the next `len` bytes, of which it has as many, to `offset` in `frame`, where there is room for them.
    /// Returns how many were moved.
    #[inline(always)]
    pub(crate) fn take_into_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        match self {
            WriteBuffer::User(slice) => {
                let (front, rest) = slice.split_at(len);
                let words = front.copy_in_frame(frame, offset);
                if words == len {
                    *slice = rest;
                    return len;
                }
                let bytes = copy_exactly(front.split_at(words).1, |byte, index| {
                    match byte.copy_in_frame(frame, offset + words + index) {
                        1 => Ok(()),
                        _ => Err(BadUserAddress),
                    }
                });
                *slice = slice.split_at(words + bytes).1;
                words + bytes
            }
            WriteBuffer::Kernel(bytes) => {
                let Some((front, rest)) = bytes.split_at_checked(len) else {
                    return 0;
                };
                frame.write_bytes(offset, front);
                *bytes = rest;
                len
            }
        }
    }

    /// Moves as many bytes as there are and `into` takes. Returns how many were moved.
    pub(crate) fn take_bytes(&mut self, into: &mut [u8]) -> usize {
        let len = self.len().min(into.len());
        let into = into.get_mut(..len).unwrap_or_default();
        match self {
            WriteBuffer::User(slice) => {
                let (front, rest) = slice.split_at(len);
                if front.copy_in(into).is_ok() {
                    *slice = rest;
                    return len;
                }
                let taken = copy_exactly(front, |byte, index| {
                    let place = into.get_mut(index..).unwrap_or_default();
                    byte.copy_in(place).map(|_| ())
                });
                *slice = slice.split_at(taken).1;
                taken
            }
            WriteBuffer::Kernel(bytes) => {
                let Some((front, rest)) = bytes.split_at_checked(len) else {
                    return 0;
                };
                into.copy_from_slice(front);
                *bytes = rest;
                len
            }
        }
    }
}

impl<'a> Source<'a> {
    fn skip(self, len: usize) -> Source<'a> {
        match self {
            Source::Frame(frame, offset) => Source::Frame(frame, offset + len),
            Source::Bytes(bytes) => Source::Bytes(bytes.get(len..).unwrap_or_default()),
            Source::Zeroes => Source::Zeroes,
        }
    }
}

#[inline(always)]
fn copy_out(slice: UserSlice, source: Source<'_>) -> Result<(), BadUserAddress> {
    match source {
        Source::Frame(frame, offset) => slice.copy_out_frame(frame, offset),
        Source::Bytes(bytes) => slice.copy_out(bytes).map(|_| ()),
        Source::Zeroes => slice.copy_out(&ZEROES).map(|_| ()),
    }
}

/// After a copy has failed somewhere in `slice`: copies it byte by byte, up to the bad one, so that the count is exact.
/// Returns that.
#[cold]
#[inline(never)]
fn copy_exactly(
    mut slice: UserSlice,
    mut copy: impl FnMut(UserSlice, usize) -> Result<(), BadUserAddress>,
) -> usize {
    let mut count = 0;
    while !slice.is_empty() {
        let (byte, rest) = slice.split_at(1);
        if copy(byte, count).is_err() {
            break;
        }
        count += 1;
        slice = rest;
    }
    count
}
