//! Signals: handlers, and how they return.

use abi::{Errno, NO_HANDLER, Signal, decode};

use crate::system_call;

pub use abi::FaultKind;

/// What is called when a signal comes: with the signal's number, the address of the fault that it comes from, and the
/// number of its [`FaultKind`] (both 0 for a signal that was sent). When it returns, the thread goes on where it was.
///
/// It interrupts the thread anywhere, also within a lock of this library: it must not wait for one.
pub type Handler = extern "C" fn(signal: i32, address: usize, kind: usize);

/// Makes `handler` the handler for `signal`, or lets the signal have its effect.
///
/// # Errors
/// `EINVAL` for `SIGKILL`.
pub fn handle(signal: Signal, handler: Option<Handler>) -> Result<(), Errno> {
    // SAFETY: a handler is a safe function.
    decode(unsafe { system_call::sigaction(signal.number(), address(handler)) }).map(drop)
}

/// Makes `handler` the handler for all signals that can be caught, or lets them have their effect.
///
/// # Errors
/// None: a function lies in user space.
pub fn handle_all(handler: Option<Handler>) -> Result<(), Errno> {
    // SAFETY: a handler is a safe function.
    decode(unsafe { system_call::signal(address(handler)) }).map(drop)
}

fn address(handler: Option<Handler>) -> usize {
    handler.map_or(NO_HANDLER, |handler| handler as *const () as usize)
}

/// Leaves the handler that this thread is in. Outside of one it does nothing.
///
/// # Safety
/// Within a handler: what lies on the stack above what was interrupted is not used any more.
pub unsafe fn return_from_handler() {
    // SAFETY: by the caller's word.
    unsafe { system_call::sigreturn() };
}
