//! `map`: from six numbers to a region.

use abi::layout::PAGE_SIZE;
use abi::{Errno, MapFlags, NO_FILE};
use mm::addr::{UserRange, VirtAddr};
use mm::space::{Backing, FileBacking, Region, RegionFlags, SharedPages, Sharing};
use proc::file::Descriptors;

use super::Call;
use super::memory::{Rights, TOLD_FLAGS};

/// `map(address, len, protection, flags, fd, offset)`.
pub(super) fn map(call: Call<'_>) -> Result<usize, Errno> {
    let process = call.process()?;
    let space = process.space().ok_or(Errno::EINVAL)?;
    let wanted = Wanted::parse(call.arguments())?;
    let backing = wanted.backing(&process.descriptors)?;
    let range = match wanted.range {
        Some(range) => {
            space.add(wanted.region(range, backing))?;
            range
        }
        None => space.add_anywhere(wanted.len, alignment(wanted.len), |range| {
            Ok(wanted.region(range, backing))
        })?,
    };
    Ok(range.start().as_usize())
}

/// Long memory begins where a big page can.
fn alignment(len: usize) -> usize {
    let sizes = [1 << 30, 2 << 20].into_iter();
    sizes.filter(|&size| len >= size).max().unwrap_or(PAGE_SIZE)
}

/// What a caller wants to have mapped. What can be wrong with it by itself has been checked, but for what
/// [`Space::add`] checks.
///
/// [`Space::add`]: mm::space::Space::add
struct Wanted {
    /// Where, if the kernel may not choose.
    range: Option<UserRange>,
    len: usize,
    rights: Rights,
    flags: MapFlags,
    contents: Contents,
}

/// Where the contents of the memory come from.
#[derive(Copy, Clone)]
enum Contents {
    /// From nowhere. If it grows, then to this many bytes; 0 without a limit.
    Zeros { limit: u64 },
    /// From the file of a descriptor.
    File { fd: i32, offset: u64 },
}

impl Wanted {
    fn parse([address, len, protection, flags, fd, offset]: [usize; 6]) -> Result<Wanted, Errno> {
        let range = match address {
            0 => None,
            _ => Some(UserRange::page_aligned(address, len)?),
        };
        if len == 0 || !len.is_multiple_of(PAGE_SIZE) || !offset.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let flags = MapFlags::from_bits(flags as u32).ok_or(Errno::EINVAL)?;
        let grows = flags.intersects(MapFlags::GROW_DOWN | MapFlags::GROW_UP);
        let (fd, limit) = (fd as i32, offset as u64);
        let contents = if !flags.contains(MapFlags::ANONYMOUS) {
            offset.checked_add(len).ok_or(Errno::EINVAL)?;
            Contents::File { fd, offset: limit }
        } else if fd == NO_FILE && (offset == 0 || grows) {
            Contents::Zeros { limit }
        } else {
            return Err(Errno::EINVAL);
        };
        Ok(Wanted {
            range,
            len,
            rights: Rights::parse(protection)?,
            flags,
            contents,
        })
    }

    /// Gets hold of what shall be mapped.
    fn backing(&self, descriptors: &Descriptors) -> Result<Backing, Errno> {
        let (len, is_shared) = (self.len as u64, self.flags.contains(MapFlags::SHARED));
        let file = match self.contents {
            Contents::Zeros { .. } if !is_shared => return Ok(Backing::Anonymous),
            Contents::Zeros { .. } => {
                FileBacking::shared(SharedPages::new(len / PAGE_SIZE as u64)?, 0)?
            }
            Contents::File { fd, offset } => {
                let file = descriptors.file(fd)?;
                if is_shared {
                    FileBacking::shared(file.page_source(Sharing::Shared)?, offset)?
                } else {
                    FileBacking::new(file.page_source(Sharing::Private)?, offset, len)?
                }
            }
        };
        Ok(Backing::File(file))
    }

    /// The region for all that, at `range`.
    fn region(&self, range: UserRange, backing: Backing) -> Region {
        let mut flags = RegionFlags::empty();
        flags.set(RegionFlags::PINNED, self.rights.is_pinned);
        for (flag, told) in TOLD_FLAGS {
            flags.set(flag, self.flags.contains(told));
        }
        Region {
            growth_limit: self.growth_limit(range),
            ..Region::new(range, self.rights.protection, backing).with_flags(flags)
        }
    }

    /// How far it may grow from `range`; a limit beyond the ends of all addresses is none.
    fn growth_limit(&self, range: UserRange) -> Option<VirtAddr> {
        match self.contents {
            Contents::Zeros { limit } if limit > 0 => {
                if self.flags.contains(MapFlags::GROW_DOWN) {
                    range.end().checked_sub(limit)
                } else {
                    range.start().checked_add(limit)
                }
            }
            Contents::Zeros { .. } | Contents::File { .. } => None,
        }
    }
}
