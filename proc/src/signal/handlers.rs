//! What a process does when signals come.

use abi::{Errno, NO_HANDLER, Signal};
use mm::addr::VirtAddr;

use crate::process::Process;
use crate::sync::{AtomicUsize, Ordering};

const COUNT: usize = Signal::MAX as usize + 1;

/// The handlers of a process: by signal the address of a function in user space, or [`NO_HANDLER`].
pub(crate) struct Handlers([AtomicUsize; COUNT]);

impl Handlers {
    /// None.
    pub(crate) fn new() -> Handlers {
        Handlers(core::array::from_fn(|_| AtomicUsize::new(NO_HANDLER)))
    }

    /// The handler for `signal`.
    pub(crate) fn get(&self, signal: Signal) -> Option<usize> {
        let place = self.0.get(signal.number() as usize)?;
        // Relaxed: an address in user space. What lies there is the program's matter.
        let handler = place.load(Ordering::Relaxed);
        (handler != NO_HANDLER).then_some(handler)
    }

    /// Sets the handler for `signal`, and returns the one before.
    fn replace(&self, signal: Signal, handler: usize) -> usize {
        match self.0.get(signal.number() as usize) {
            // Relaxed: as in `get`.
            Some(place) => place.swap(handler, Ordering::Relaxed),
            None => NO_HANDLER,
        }
    }

    /// Takes over those of another process, for a new one.
    pub(crate) fn copy_from(&self, other: &Handlers) {
        for (place, other) in self.0.iter().zip(&other.0) {
            // Relaxed: as in `get`.
            place.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Makes `handler` the handler of `process` for `signal`, and returns the one before.
///
/// # Errors
/// `EINVAL` if `signal` cannot be caught, or `handler` is not in user space.
pub fn set_handler(process: &Process, signal: Signal, handler: usize) -> Result<usize, Errno> {
    if signal == Signal::SIGKILL {
        return Err(Errno::EINVAL);
    }
    check(handler)?;
    Ok(process.handlers.replace(signal, handler))
}

/// Makes `handler` the handler of `process` for all signals that can be caught.
///
/// # Errors
/// `EINVAL` if `handler` is not in user space.
pub fn set_all_handlers(process: &Process, handler: usize) -> Result<(), Errno> {
    check(handler)?;
    for signal in (1..=Signal::MAX).filter_map(Signal::from_number) {
        if signal != Signal::SIGKILL {
            process.handlers.replace(signal, handler);
        }
    }
    Ok(())
}

fn check(handler: usize) -> Result<(), Errno> {
    if handler == NO_HANDLER || VirtAddr::new(handler as u64).is_user() {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
