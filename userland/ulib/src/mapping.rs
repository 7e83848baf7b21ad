//! Mappings: memory by `map`, from files or from nothing.

use core::sync::atomic::AtomicU64;

use abi::{Errno, MapFlags, MappingInfo, NO_FILE, Protection, decode};

use crate::file::File;
use crate::system_call;

/// What [`map`] is asked for: the system call's arguments, by their names.
///
/// ```ignore
/// let page = map(&MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::EAGER))?;
/// let text = map(&MapRequest::file(&file, 0, len).protection(Protection::READ))?;
/// ```
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct MapRequest {
    /// Where exactly; 0 leaves it to the kernel.
    pub address: usize,
    /// How many bytes.
    pub len: usize,
    /// What the program may do there.
    pub protection: Protection,
    /// How.
    pub flags: MapFlags,
    /// The file, or [`NO_FILE`].
    pub fd: i32,
    /// Where in the file; without a file, the longest that a growing mapping may become.
    pub offset: u64,
}

impl MapRequest {
    /// Zeros that may be written, private, where the kernel likes.
    pub const fn anonymous(len: usize) -> MapRequest {
        MapRequest {
            address: 0,
            len,
            protection: Protection::READ.union(Protection::WRITE),
            flags: MapFlags::ANONYMOUS,
            fd: NO_FILE,
            offset: 0,
        }
    }

    /// A private copy of the bytes of `file` from `offset` on, which may be written, where the kernel likes.
    pub const fn file(file: &File, offset: u64, len: usize) -> MapRequest {
        MapRequest {
            flags: MapFlags::empty(),
            fd: file.descriptor(),
            offset,
            ..MapRequest::anonymous(len)
        }
    }

    /// The same, exactly there.
    #[must_use]
    pub const fn at(self, address: usize) -> MapRequest {
        MapRequest { address, ..self }
    }

    /// The same with these rights only.
    #[must_use]
    pub const fn protection(self, protection: Protection) -> MapRequest {
        MapRequest { protection, ..self }
    }

    /// The same with these flags too.
    #[must_use]
    pub const fn flags(self, flags: MapFlags) -> MapRequest {
        MapRequest {
            flags: self.flags.union(flags),
            ..self
        }
    }

    /// The same; if it grows, not beyond this length.
    #[must_use]
    pub const fn limit(self, len: usize) -> MapRequest {
        MapRequest {
            offset: len as u64,
            ..self
        }
    }
}

/// Maps memory, and returns its address. It stays until [`unmap`] or the end of the program.
///
/// # Errors
/// Those of the system call `map`.
#[inline]
pub fn map(request: &MapRequest) -> Result<usize, Errno> {
    let MapRequest {
        address,
        len,
        protection,
        flags,
        fd,
        offset,
    } = *request;
    // SAFETY: the call puts nothing in the place of anything that is there.
    decode(unsafe { system_call::map(address, len, protection.bits(), flags.bits(), fd, offset) })
}

/// Removes what is mapped in a range.
///
/// # Safety
/// Nothing uses what is there any more.
///
/// # Errors
/// Those of the system call `unmap`.
#[inline]
pub unsafe fn unmap(address: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: by the caller's word.
    decode(unsafe { system_call::unmap(address, len) }).map(drop)
}

/// Gives a range other rights, and pins or unpins it. Who then does what he may not is ended, and harms nobody else.
///
/// # Errors
/// Those of the system call `protect`.
#[inline]
pub fn protect(address: usize, len: usize, protection: Protection) -> Result<(), Errno> {
    // SAFETY: no memory changes.
    decode(unsafe { system_call::protect(address, len, protection.bits()) }).map(drop)
}

/// Has the kernel put the contents of a range into other frames, which cannot be noticed.
///
/// # Errors
/// Those of the system call `move`.
pub fn move_frames(address: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: no memory changes.
    decode(unsafe { system_call::r#move(address, len) }).map(drop)
}

/// What is mapped at an address.
///
/// # Errors
/// Those of the system call `mapping`.
pub fn mapping(address: usize) -> Result<MappingInfo, Errno> {
    let mut info = MappingInfo::default();
    // SAFETY: the kernel writes one structure, for which there is room.
    decode(unsafe { system_call::mapping(address, &raw mut info) })?;
    Ok(info)
}

/// Memory by [`map`] that is unmapped when this is dropped, unless it is pinned then. By what it has grown since, stays.
#[derive(Debug)]
pub struct Mapping {
    start: usize,
    len: usize,
}

impl Mapping {
    /// Maps memory.
    ///
    /// # Errors
    /// Those of the system call `map`.
    pub fn new(request: &MapRequest) -> Result<Mapping, Errno> {
        let start = map(request)?;
        let len = request.len;
        Ok(Mapping { start, len })
    }

    /// Its address.
    pub const fn address(&self) -> usize {
        self.start
    }

    /// Its length in bytes when it was mapped.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes: never.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory as words, which others may change at any time if it is shared.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `new` has mapped all of it, page-aligned, and it stays until `self` is dropped or somebody breaks his
        // word to `unmap`. Any bytes are words, and other users of the memory do no harm to atomics.
        unsafe { core::slice::from_raw_parts(self.start as *const AtomicU64, self.len / 8) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what was borrowed from it is gone.
        let unmapped = unsafe { unmap(self.start, self.len) };
        debug_assert!(
            matches!(unmapped, Ok(()) | Err(Errno::EPERM)),
            "a mapping cannot be unmapped: {unmapped:?}"
        );
    }
}
