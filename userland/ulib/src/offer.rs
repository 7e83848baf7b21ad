//! Pages that one process offers to another.

use abi::{Errno, Pid, decode};

use crate::system_call;

/// Offers the page at `address` to the process `partner`; it becomes shared memory.
///
/// # Errors
/// Those of the system call `share`.
pub fn share(partner: Pid, address: usize) -> Result<(), Errno> {
    // SAFETY: the page keeps its contents. What the partner stores there, the caller has allowed.
    decode(unsafe { system_call::share(partner, address) }).map(drop)
}

/// Maps at `local` the page that `owner` has at `remote` and has offered to this process.
///
/// # Errors
/// Those of the system call `attach`.
pub fn attach(owner: Pid, remote: usize, local: usize) -> Result<(), Errno> {
    // SAFETY: the call maps only where nothing is mapped.
    decode(unsafe { system_call::attach(owner, remote, local) }).map(drop)
}
