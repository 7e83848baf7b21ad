//! Time: `clock_ns` and `sleep_ms`.

use abi::Errno;

use super::Call;

/// `clock_ns()`.
pub(super) fn clock_ns(_: Call<'_>) -> Result<usize, Errno> {
    Ok(smp::time::now_ns() as usize)
}

/// `sleep_ms(duration_ms)`.
pub(super) fn sleep_ms(call: Call<'_>) -> Result<usize, Errno> {
    let [duration_ms, ..] = call.arguments();
    proc::sleep::sleep_ns((duration_ms as u64).saturating_mul(1_000_000))?;
    Ok(0)
}
