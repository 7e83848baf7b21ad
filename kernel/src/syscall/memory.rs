//! Memory that is there already, or comes by `page_alloc`: `unmap`, `protect`, `move`, `mapping` and their kin.

use abi::layout::PAGE_SIZE;
use abi::{Errno, MapFlags, MappingInfo, PageState};
use mm::addr::{UserRange, VirtAddr};
use mm::page_table::Perm;
use mm::space::{MappedPage, Mapping, Protection, RegionFlags};
use mm::user::UserPtr;

use super::Call;

/// `unmap(address, len)`.
pub(super) fn unmap(call: Call<'_>) -> Result<usize, Errno> {
    let [address, len, ..] = call.arguments();
    let range = UserRange::page_aligned(address, len)?;
    call.space()?.remove(range)?;
    Ok(0)
}

/// `protect(address, len, protection)`.
pub(super) fn protect(call: Call<'_>) -> Result<usize, Errno> {
    let [address, len, protection, ..] = call.arguments();
    let range = UserRange::page_aligned(address, len)?;
    let Rights {
        protection,
        is_pinned,
    } = Rights::parse(protection)?;
    call.space()?
        .protect_and_pin(range, protection, is_pinned)?;
    Ok(0)
}

/// `move(address, len)`.
pub(super) fn r#move(call: Call<'_>) -> Result<usize, Errno> {
    let [address, len, ..] = call.arguments();
    let range = UserRange::page_aligned(address, len)?;
    call.space()?.move_frames(range)?;
    Ok(0)
}

/// `mapping(address, info)`.
pub(super) fn mapping(call: Call<'_>) -> Result<usize, Errno> {
    let [address, info, ..] = call.arguments();
    let address = VirtAddr::new(address as u64);
    if !address.is_user() {
        return Err(Errno::EINVAL);
    }
    let mapping = call.space()?.mapping(address).ok_or(Errno::EFAULT)?;
    UserPtr::new(info).write(describe(&mapping))?;
    Ok(0)
}

/// `page_alloc(address)`.
pub(super) fn page_alloc(call: Call<'_>) -> Result<usize, Errno> {
    let [address, ..] = call.arguments();
    match pages(address, 1) {
        Ok(page) => call.space()?.page_alloc(page)?,
        Err(Errno::EINVAL) if address.is_multiple_of(PAGE_SIZE) => call
            .space()?
            .page_alloc_outside(VirtAddr::new(address as u64))?,
        Err(error) => return Err(error),
    }
    Ok(0)
}

/// `page_alloc_range(address, len_pages)`.
pub(super) fn page_alloc_range(call: Call<'_>) -> Result<usize, Errno> {
    let [address, len_pages, ..] = call.arguments();
    call.space()?.page_alloc(pages(address, len_pages)?)?;
    Ok(0)
}

/// `page_free(address, len_pages)`.
pub(super) fn page_free(call: Call<'_>) -> Result<usize, Errno> {
    let [address, len_pages, ..] = call.arguments();
    call.space()?.page_free(pages(address, len_pages)?)?;
    Ok(0)
}

/// What a caller wants to be allowed: `abi`'s protection, taken apart.
#[derive(Copy, Clone)]
pub(super) struct Rights {
    pub(super) protection: Protection,
    pub(super) is_pinned: bool,
}

impl Rights {
    /// Reading is always allowed.
    pub(super) fn parse(bits: usize) -> Result<Rights, Errno> {
        let wanted = abi::Protection::from_bits(bits as u32).ok_or(Errno::EINVAL)?;
        let mut protection = Protection::empty();
        protection.set(Protection::WRITE, wanted.contains(abi::Protection::WRITE));
        protection.set(
            Protection::EXECUTE,
            wanted.contains(abi::Protection::EXECUTE),
        );
        Ok(Rights {
            protection,
            is_pinned: wanted.contains(abi::Protection::PIN),
        })
    }

    fn to_abi(self) -> abi::Protection {
        let mut told = abi::Protection::READ;
        for (right, bit) in [
            (
                self.protection.contains(Protection::WRITE),
                abi::Protection::WRITE,
            ),
            (
                self.protection.contains(Protection::EXECUTE),
                abi::Protection::EXECUTE,
            ),
            (self.is_pinned, abi::Protection::PIN),
        ] {
            told.set(bit, right);
        }
        told
    }
}

/// The flags of a region that a program gives, and is told.
pub(super) const TOLD_FLAGS: [(RegionFlags, MapFlags); 3] = [
    (RegionFlags::EAGER, MapFlags::EAGER),
    (RegionFlags::GROW_DOWN, MapFlags::GROW_DOWN),
    (RegionFlags::GROW_UP, MapFlags::GROW_UP),
];

/// What `mapping` stores.
fn describe(mapping: &Mapping) -> MappingInfo {
    let region = &mapping.region;
    let mut flags = MapFlags::empty();
    flags.set(MapFlags::SHARED, region.backing.is_shared());
    flags.set(MapFlags::ANONYMOUS, !region.backing.is_file());
    for (flag, told) in TOLD_FLAGS {
        flags.set(told, region.flags.contains(flag));
    }
    let is_pinned = region.flags.contains(RegionFlags::PINNED);
    let (page_len, page) = mapping.page.map_or((0, PageState::empty()), state_of);
    MappingInfo {
        start: region.range.start().as_u64(),
        len: region.range.len_bytes() as u64,
        page_len,
        protection: Rights {
            protection: region.protection,
            is_pinned,
        }
        .to_abi()
        .bits(),
        flags: flags.bits(),
        page: page.bits(),
        is_page_alloc: u32::from(region.flags.contains(RegionFlags::PAGE_ALLOC)),
    }
}

/// The length of a page, and what it is at the moment.
fn state_of(page: MappedPage) -> (u64, PageState) {
    let mut state = PageState::PRESENT;
    state.set(PageState::WRITABLE, page.perm.contains(Perm::WRITE));
    let is_shared = page.perm.intersects(Perm::SHARED | Perm::COPY_ON_WRITE);
    state.set(PageState::SHARED, is_shared || page.is_table_shared);
    (page.len_bytes(), state)
}

fn pages(address: usize, len_pages: usize) -> Result<UserRange, Errno> {
    let len = len_pages.checked_mul(PAGE_SIZE).ok_or(Errno::EINVAL)?;
    Ok(UserRange::page_aligned(address, len)?)
}
