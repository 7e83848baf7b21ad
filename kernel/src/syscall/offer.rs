//! Pages from one process to another: `share` and `attach`.

use abi::layout::PAGE_SIZE;
use abi::{Errno, Pid};
use mm::addr::{UserRange, VirtAddr};
use proc::offers;

use super::Call;

/// `share(pid, address)`.
pub(super) fn share(call: Call<'_>) -> Result<usize, Errno> {
    let [pid, address, ..] = call.arguments();
    offers::share(call.process()?, pid as Pid, page(address)?)?;
    Ok(0)
}

/// `attach(pid, remote, local)`.
pub(super) fn attach(call: Call<'_>) -> Result<usize, Errno> {
    let [pid, remote, local, ..] = call.arguments();
    offers::attach(call.process()?, pid as Pid, page(remote)?, page(local)?)?;
    Ok(0)
}

fn page(address: usize) -> Result<VirtAddr, Errno> {
    Ok(UserRange::page_aligned(address, PAGE_SIZE)?.start())
}
