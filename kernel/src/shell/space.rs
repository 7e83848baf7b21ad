//! The address space of a kernel shell: two regions at the low end of user space, one that is there from the start and
//! one that comes in by faults.

use core::fmt;

use abi::Errno;
use mm::addr::{self, PAGE_SIZE, UserRange};
use mm::aspace::{self, CreateError, SpaceRef};
use mm::error::SpaceError;
use mm::space::{Protection, Region, RegionFlags};

/// The implementation of the space that a shell is in unless it is told another.
pub(crate) const USUAL: &str = "paging";

/// The region that is mapped when the shell starts: 64 KiB at the first address of user space.
const EAGER_BYTES: usize = 16 * PAGE_SIZE;
/// The region of which each page is mapped when it is first touched: 2 MiB, as far from the first as it is long.
const LAZY_BYTES: usize = 2 << 20;

/// Why there is no space for a shell.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Error {
    /// No implementation has this name.
    NoSuchKind,
    /// Something went wrong.
    Failed(Errno),
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Error {
        Error::Failed(error)
    }
}

impl From<SpaceError> for Error {
    fn from(error: SpaceError) -> Error {
        Error::Failed(error.into())
    }
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Error {
        match error {
            CreateError::NoSuchImplementation => Error::NoSuchKind,
            CreateError::NoMemory => Error::Failed(Errno::ENOMEM),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchKind => f.write_str("no such kind of address space; `asis` lists them"),
            Error::Failed(error) => error.fmt(f),
        }
    }
}

/// A space of the implementation `kind` ([`USUAL`] if it is empty), with the two regions if they can be added there.
///
/// # Errors
/// [`Error`].
pub(crate) fn create(kind: &str) -> Result<SpaceRef, Error> {
    let space = aspace::create(if kind.is_empty() { USUAL } else { kind })?;
    let start = addr::user_start().as_usize();
    let regions = [
        (start, EAGER_BYTES, RegionFlags::EAGER),
        (start + LAZY_BYTES, LAZY_BYTES, RegionFlags::empty()),
    ];
    let protection = Protection::WRITE | Protection::KERNEL;
    for (start, len_bytes, flags) in regions {
        let range = UserRange::page_aligned(start, len_bytes)?;
        match space
            .as_dyn()
            .add_region(Region::anonymous(range, protection, flags))
        {
            // The map made at boot is as it is.
            Err(SpaceError::Fixed) => {}
            added => added?,
        }
    }
    Ok(space)
}
