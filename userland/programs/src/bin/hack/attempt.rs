//! An attempt that the processor should stop.
//!
//! A handler that returned would have the instruction repeated, with the same end. So each attempt has a thread of its
//! own, which the handler ends, and the program goes on.

use core::sync::atomic::{AtomicUsize, Ordering};

use ulib::signal::FaultKind;
use ulib::{Errno, println, thread};

/// What is tried, with an address as argument.
pub(crate) type Attack = unsafe extern "C" fn(usize);

// What the handler was told. Relaxed: who looks has joined the thread that has stored it.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static KIND: AtomicUsize = AtomicUsize::new(0);

/// The handler.
pub(crate) extern "C" fn stopped(_: i32, address: usize, kind: usize) {
    ADDRESS.store(address, Ordering::Relaxed);
    KIND.store(kind, Ordering::Relaxed);
    // SAFETY: there are no scopes.
    unsafe { thread::exit(0) };
}

/// Makes an attempt, at `target`. It should be stopped with a fault of the kind `kind` at `address`. Returns the number
/// of holes.
pub(crate) fn make(
    what: &str,
    attack: Attack,
    target: usize,
    (address, kind): (usize, FaultKind),
) -> Result<usize, Errno> {
    let attacker = thread::spawn(move || {
        // SAFETY: it is stopped, or changes nothing of this program. If the kernel lets itself be hurt, that is what
        // this program is there to show.
        unsafe { attack(target) };
    })?;
    if attacker.join().is_some() {
        println!("{what}: NOT STOPPED");
        return Ok(1);
    }
    let told = (
        ADDRESS.load(Ordering::Relaxed),
        FaultKind::from_number(KIND.load(Ordering::Relaxed)),
    );
    if told != (address, Some(kind)) {
        println!("{what}: stopped, but the handler was told {told:x?} for {address:#x}, {kind:?}");
        return Ok(1);
    }
    println!("{what}: stopped, {kind:?} at {address:#x}");
    Ok(0)
}
