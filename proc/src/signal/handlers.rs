//! What a process does when signals come.

use abi::{Errno, NO_HANDLER, Signal};
use mm::addr::VirtAddr;

use crate::process::Process;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};

const COUNT: usize = Signal::MAX as usize + 1;

/// The handlers of a process.
pub(crate) struct Handlers {
    /// By signal the address of a function in user space, or [`NO_HANDLER`].
    addresses: [AtomicUsize; COUNT],
    /// Whether there is one (SIGNAL-4). Changed with `life` of the process locked, together with the addresses.
    are_used: AtomicBool,
}

impl Handlers {
    /// None.
    pub(crate) fn new() -> Handlers {
        Handlers {
            addresses: core::array::from_fn(|_| AtomicUsize::new(NO_HANDLER)),
            are_used: AtomicBool::new(false),
        }
    }

    /// The handler for `signal`.
    pub(crate) fn get(&self, signal: Signal) -> Option<usize> {
        let place = self.addresses.get(signal.number() as usize)?;
        // Acquire pairs with the Release in `replace`: who sees the handler finds his context (SIGNAL-4).
        let handler = place.load(Ordering::Acquire);
        (handler != NO_HANDLER).then_some(handler)
    }

    /// Sets the handler for `signal`, and returns the one before. `life` of the process is locked.
    fn replace(&self, signal: Signal, handler: usize) -> usize {
        let before = match self.addresses.get(signal.number() as usize) {
            // Release: see `get`. The lock of `life` orders what was there before.
            Some(place) => place.swap(handler, Ordering::Release),
            None => NO_HANDLER,
        };
        let is_handler = |place: &AtomicUsize| place.load(Ordering::Relaxed) != NO_HANDLER;
        // Relaxed: see `are_used`.
        self.are_used
            .store(self.addresses.iter().any(is_handler), Ordering::Relaxed);
        before
    }

    /// Takes over those of another process, for a new one, which nobody else has yet.
    pub(crate) fn copy_from(&self, other: &Handlers) {
        let mut are_used = false;
        for (place, other) in self.addresses.iter().zip(&other.addresses) {
            // Relaxed, both: nobody has the new one yet, and giving it away orders this.
            let handler = other.load(Ordering::Relaxed);
            place.store(handler, Ordering::Relaxed);
            are_used |= handler != NO_HANDLER;
        }
        // Relaxed: see `are_used`.
        self.are_used.store(are_used, Ordering::Relaxed);
    }

    /// Whether there is a handler.
    pub(crate) fn are_used(&self) -> bool {
        // Relaxed: SIGNAL-4, the lock of `life` orders it.
        self.are_used.load(Ordering::Relaxed)
    }
}

/// Makes `handler` the handler of `process` for `signal`, and returns the one before.
///
/// # Errors
/// `EINVAL` if `signal` cannot be caught, or `handler` is not in user space; `ENOMEM` if there is no memory for what
/// threads are to go back to from their handlers.
pub fn set_handler(process: &Process, signal: Signal, handler: usize) -> Result<usize, Errno> {
    if signal == Signal::SIGKILL {
        return Err(Errno::EINVAL);
    }
    change(process, handler, |handlers| {
        handlers.replace(signal, handler)
    })
}

/// Makes `handler` the handler of `process` for all signals that can be caught.
///
/// # Errors
/// `EINVAL` if `handler` is not in user space; `ENOMEM` as in [`set_handler`].
pub fn set_all_handlers(process: &Process, handler: usize) -> Result<(), Errno> {
    change(process, handler, |handlers| {
        for signal in (1..=Signal::MAX).filter_map(Signal::from_number) {
            if signal != Signal::SIGKILL {
                handlers.replace(signal, handler);
            }
        }
    })
}

/// Has `replace` make `handler` a handler, when each thread has what it needs for its call (SIGNAL-4).
fn change<T>(
    process: &Process,
    handler: usize,
    replace: impl FnOnce(&Handlers) -> T,
) -> Result<T, Errno> {
    if handler != NO_HANDLER && !VirtAddr::new(handler as u64).is_user() {
        return Err(Errno::EINVAL);
    }
    loop {
        let life = process.life.lock();
        let unprepared = match handler {
            NO_HANDLER => None,
            _ => life
                .running()
                .find_arc(|thread| !super::has_context(thread)),
        };
        let Some(thread) = unprepared else {
            return Ok(replace(&process.handlers));
        };
        drop(life);
        super::provide_context(&thread)?;
    }
}
