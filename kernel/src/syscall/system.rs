//! The system as a whole: `sysinfo` and `panic`.

use abi::{Errno, ExitStatus, Signal, SysInfo};
use mm::user::{UserSlice, UserString};

use super::Call;

const MESSAGE_MAX: usize = 256;

/// `sysinfo(info, len)`.
pub(super) fn sysinfo(call: &Call<'_>) -> Result<usize, Errno> {
    let [info, len, ..] = call.arguments();
    mm::user::copy_out_prefix(UserSlice::new(info, len)?, &crate::accounts::read())?;
    Ok(size_of::<SysInfo>())
}

/// `panic(message)`.
pub(super) fn panic(call: &Call<'_>) -> Result<usize, Errno> {
    let [message, ..] = call.arguments();
    let mut buffer = [0; MESSAGE_MAX];
    let text = UserString::new(message)
        .copy_in(&mut buffer)
        .ok()
        .and_then(|bytes| core::str::from_utf8(bytes).ok());
    let process = call.process()?;
    smp::log!(
        "process {} ({}) gives up: {}",
        process.id(),
        process.name(),
        text.unwrap_or("(unreadable message)")
    );
    proc::exit::end_process(process, ExitStatus::killed(Signal::SIGABRT));
    Ok(0)
}
