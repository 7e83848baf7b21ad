//! What can go wrong with memory, and the error number that a system call reports for it.

use abi::Errno;

use crate::rw_lock::Ending;

/// No memory is left. Every allocation can fail with this; a system call reports `ENOMEM`.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct NoMemory;

/// Why a page could not be mapped.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum MapError {
    /// A page-table page was needed and there is no memory for it.
    NoMemory,
    /// The virtual or physical address is not aligned to the size of the mapping.
    NotAligned,
    /// The virtual address is not canonical, is page 0, or is not in the half that this table may map.
    OutOfRange,
    /// Something else is mapped there.
    AlreadyMapped,
}

/// Why an operation on an address space failed. Nothing has changed then.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum SpaceError {
    /// There is not enough memory, or no free range of addresses that is long enough. `ENOMEM`.
    NoMemory,
    /// An address or a length is not a multiple of the page size. `EINVAL`.
    Unaligned,
    /// The range has no pages. `EINVAL`.
    Empty,
    /// The range goes past the end of the address space. `EINVAL`.
    Wraps,
    /// Some of the range is not in user space. `EINVAL`.
    KernelHalf,
    /// The range overlaps a region that exists. `EEXIST`.
    Overlap,
    /// The range touches a pinned region. `EPERM`.
    Pinned,
    /// Nothing is mapped where something has to be. `EFAULT`.
    NotMapped,
    /// A file that is to be mapped cannot be read. `EIO`.
    Unreadable,
    /// The region cannot grow: it is not plain anonymous memory, would have to grow both ways, or its limit lies inside
    /// of it. `EINVAL`.
    NotGrowable,
    /// The file that a shared region shows may not be written. `EACCES`.
    ReadOnly,
    /// Users may not have what only the kernel may use: physical memory, or a region that was the kernel's before.
    /// `EPERM`.
    KernelOnly,
    /// The physical memory behind a region is not exactly as long as the region. `EINVAL`.
    WrongLength,
    /// The space is of a kind whose regions cannot be changed. `EPERM`.
    Fixed,
    /// The caller has been killed, and does not see that. `EINTR`.
    Ending,
}

impl From<NoMemory> for MapError {
    fn from(_: NoMemory) -> MapError {
        MapError::NoMemory
    }
}

impl From<NoMemory> for SpaceError {
    fn from(_: NoMemory) -> SpaceError {
        SpaceError::NoMemory
    }
}

impl From<Ending> for SpaceError {
    fn from(_: Ending) -> SpaceError {
        SpaceError::Ending
    }
}

impl From<MapError> for SpaceError {
    fn from(error: MapError) -> SpaceError {
        match error {
            MapError::NoMemory => SpaceError::NoMemory,
            MapError::NotAligned => SpaceError::Unaligned,
            MapError::OutOfRange => SpaceError::KernelHalf,
            MapError::AlreadyMapped => SpaceError::Overlap,
        }
    }
}

impl From<NoMemory> for Errno {
    fn from(_: NoMemory) -> Errno {
        Errno::ENOMEM
    }
}

impl From<MapError> for Errno {
    fn from(error: MapError) -> Errno {
        SpaceError::from(error).into()
    }
}

impl From<SpaceError> for Errno {
    fn from(error: SpaceError) -> Errno {
        match error {
            SpaceError::NoMemory => Errno::ENOMEM,
            SpaceError::Unaligned
            | SpaceError::Empty
            | SpaceError::Wraps
            | SpaceError::KernelHalf
            | SpaceError::NotGrowable
            | SpaceError::WrongLength => Errno::EINVAL,
            SpaceError::Overlap => Errno::EEXIST,
            SpaceError::Pinned | SpaceError::KernelOnly | SpaceError::Fixed => Errno::EPERM,
            SpaceError::ReadOnly => Errno::EACCES,
            SpaceError::NotMapped => Errno::EFAULT,
            SpaceError::Unreadable => Errno::EIO,
            SpaceError::Ending => Errno::EINTR,
        }
    }
}
