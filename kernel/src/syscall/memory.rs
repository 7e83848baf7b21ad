//! Memory: `page_alloc` and its kin.

use abi::{Errno, layout::PAGE_SIZE};
use mm::addr::UserRange;

use super::Call;

/// `page_alloc(address)`.
pub(super) fn page_alloc(call: &Call<'_>) -> Result<usize, Errno> {
    let [address, ..] = call.arguments();
    alloc_pages(call, address, 1)
}

/// `page_alloc_range(address, len_pages)`.
pub(super) fn page_alloc_range(call: &Call<'_>) -> Result<usize, Errno> {
    let [address, len_pages, ..] = call.arguments();
    alloc_pages(call, address, len_pages)
}

fn alloc_pages(call: &Call<'_>, address: usize, len_pages: usize) -> Result<usize, Errno> {
    let len = len_pages.checked_mul(PAGE_SIZE).ok_or(Errno::EINVAL)?;
    let range = UserRange::page_aligned(address, len)?;
    let space = call.process()?.space().ok_or(Errno::EINVAL)?;
    space.page_alloc(range)?;
    Ok(0)
}
