//! Futexes: `futex_wait`, `futex_wake`.

use abi::Errno;

use super::Call;

/// `futex_wait(address, value)`.
pub(super) fn futex_wait(call: Call<'_>) -> Result<usize, Errno> {
    let [address, value, ..] = call.arguments();
    proc::futex::wait(call.space()?, address, value as u32)?;
    Ok(0)
}

/// `futex_wake(address, count)`.
pub(super) fn futex_wake(call: Call<'_>) -> Result<usize, Errno> {
    let [address, count, ..] = call.arguments();
    proc::futex::wake(call.space()?, address, count as u32 as usize)
}
