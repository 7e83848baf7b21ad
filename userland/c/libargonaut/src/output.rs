//! Where formatted text goes: into memory of the program, or to a descriptor, what one call prints in one `write`.

use c_format::Output;

/// How much text is collected before it is sent off.
const CAPACITY: usize = 512;

/// Memory of the program, with room for a NUL.
pub(crate) struct Memory<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Memory<'a> {
        Memory { buffer, len: 0 }
    }

    /// Puts a NUL behind what has been put, or in the place of the last byte.
    pub(crate) fn terminate(self) {
        let end = self.len.min(self.buffer.len().saturating_sub(1));
        if let Some(place) = self.buffer.get_mut(end) {
            *place = 0;
        }
    }
}

impl Output for Memory<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let free = self.buffer.get_mut(self.len..).unwrap_or_default();
        for (place, &byte) in free.iter_mut().zip(bytes) {
            *place = byte;
        }
        self.len = self.buffer.len().min(self.len + bytes.len());
    }
}

/// A descriptor. Text goes there when there is much of it, and in the end.
pub(crate) struct Descriptor {
    fd: i32,
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Descriptor {
    pub(crate) fn new(fd: i32) -> Descriptor {
        Descriptor {
            fd,
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    fn send(&mut self) {
        // An output that is closed or full swallows it.
        let _ = ulib::file::write_all(self.fd, self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

impl Output for Descriptor {
    fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.len == CAPACITY {
                self.send();
            }
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.len > 0 {
            self.send();
        }
    }
}
