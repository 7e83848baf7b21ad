//! Signals: `kill`, `signal`, `sigaction`, `sigreturn`.

use abi::{Errno, Pid, Signal};
use proc::signal::{self, deliver, send};

use super::Call;

/// `kill(pid, signal)`.
pub(super) fn kill(call: Call<'_>) -> Result<usize, Errno> {
    let [pid, number, ..] = call.arguments();
    let (pid, number) = (pid as Pid, number as i32);
    if number == 0 {
        return send::check(pid).map(|()| 0);
    }
    let signal = Signal::from_number(number).ok_or(Errno::EINVAL)?;
    send::kill(pid, signal)?;
    Ok(0)
}

/// `signal(handler)`.
pub(super) fn signal(call: Call<'_>) -> Result<usize, Errno> {
    let [handler, ..] = call.arguments();
    signal::set_all_handlers(call.process()?, handler)?;
    Ok(0)
}

/// `sigaction(signal, handler)`.
pub(super) fn sigaction(call: Call<'_>) -> Result<usize, Errno> {
    let [number, handler, ..] = call.arguments();
    let signal = Signal::from_number(number as i32).ok_or(Errno::EINVAL)?;
    signal::set_handler(call.process()?, signal, handler)
}

/// `sigreturn()`.
pub(super) fn sigreturn(call: Call<'_>) -> Result<usize, Errno> {
    deliver::ask_to_leave_handler(call.thread);
    Ok(0)
}
