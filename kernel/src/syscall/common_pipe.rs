//! The pipe that all processes have in common: `piperead` and `pipewrite`.

use abi::Errno;
use mm::user::UserSlice;
use proc::common_pipe;

use super::Call;

/// `piperead(buffer, len)`.
pub(super) fn piperead(call: Call<'_>) -> Result<usize, Errno> {
    let [buffer, len, ..] = call.arguments();
    common_pipe::read(UserSlice::new(buffer, len)?)
}

/// `pipewrite(buffer, len)`.
pub(super) fn pipewrite(call: Call<'_>) -> Result<usize, Errno> {
    let [buffer, len, ..] = call.arguments();
    common_pipe::write(UserSlice::new(buffer, len)?)
}
