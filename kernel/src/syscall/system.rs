//! The system as a whole: `sysinfo`, `panic`, `log` and `console_put`.

use core::fmt::{self, Write};

use abi::{Errno, ExitStatus, LOG_MAX, SCREEN_COLUMNS, SCREEN_ROWS, Signal, SysInfo};
use mm::user::{UserSlice, UserString};

use super::Call;
use crate::device::console;

/// The bits that say colours.
const ATTRIBUTE_BITS: usize = 0x7f;

/// `sysinfo(info, len)`.
pub(super) fn sysinfo(call: Call<'_>) -> Result<usize, Errno> {
    let [info, len, ..] = call.arguments();
    mm::user::copy_out_prefix(UserSlice::new(info, len)?, &crate::accounts::read())?;
    Ok(size_of::<SysInfo>())
}

/// `panic(message)`.
pub(super) fn panic(call: Call<'_>) -> Result<usize, Errno> {
    let [message, ..] = call.arguments();
    let mut buffer = [0; LOG_MAX + 1];
    let bytes = UserString::new(message).copy_in(&mut buffer);
    let process = call.process()?;
    smp::log!(
        "process {} ({}) gives up: {}",
        process.id(),
        process.name(),
        Text(bytes.unwrap_or(b"(unreadable message)"))
    );
    proc::exit::end_process(process, ExitStatus::killed(Signal::SIGABRT));
    Ok(0)
}

/// `log(message)`.
pub(super) fn log(call: Call<'_>) -> Result<usize, Errno> {
    let [message, ..] = call.arguments();
    let mut buffer = [0; LOG_MAX + 1];
    let bytes = UserString::new(message)
        .copy_in(&mut buffer)
        .map_err(|error| error.errno(Errno::E2BIG))?;
    let process = call.process()?;
    smp::log!(
        "process {} ({}): {}",
        process.id(),
        process.name(),
        Text(bytes)
    );
    Ok(0)
}

/// A program's text, which should be UTF-8.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// `console_put(row, column, attribute, bytes, len)`.
pub(super) fn console_put(call: Call<'_>) -> Result<usize, Errno> {
    let [row, column, attribute, bytes, len, ..] = call.arguments();
    let is_on_screen =
        row < SCREEN_ROWS && column <= SCREEN_COLUMNS && len <= SCREEN_COLUMNS - column;
    if !is_on_screen || attribute & !ATTRIBUTE_BITS != 0 {
        return Err(Errno::EINVAL);
    }
    let mut line = [0; SCREEN_COLUMNS];
    let line = line.get_mut(..len).ok_or(Errno::EINVAL)?;
    UserSlice::new(bytes, len)?.copy_in(line)?;
    console::put(row, column, attribute as u8, line);
    Ok(0)
}
