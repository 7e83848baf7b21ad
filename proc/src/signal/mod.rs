//! Signals: how one process, or the kernel, makes a thread of another one run a handler, and how that returns (exercise
//! KERN-9).
//!
//! The guarantee: a signal that [`send::kill`] has accepted is handled soon, wherever the thread is: its handler runs,
//! and when that returns the thread goes on with all registers as they were; or the process ends. A signal that was
//! refused has changed nothing. No user can forge what a thread goes back to.
//!
//! A signal goes three steps. It is *sent*: a bit of the thread's [`crate::attention`] is set, and the thread is woken,
//! or interrupted if another CPU runs it. The thread *takes* it on its way to user mode ([`deliver`]): its registers
//! are put aside in the kernel, the address of [`abi::layout::SIGNAL_RETURN`] is put on its stack, and it goes to user
//! mode in the handler. The handler *returns*: to that address, where nothing is mapped, so the thread is back in the
//! kernel by a page fault; or it calls `sigreturn`. The registers are restored, and the next signal can come.
//!
//! A fault of the thread itself takes the last two steps only.
//!
//! Handlers belong to the process. Being in one, and the registers that are put aside, belong to the thread. A thread
//! is in one handler at most, so there is one place for the registers, its *context*. It is made when the process sets
//! its first handler, and for later threads with them, so that memory may lack then but not when a signal has been
//! accepted.
//!
//! - **SIGNAL-1** a thread is in a handler from the moment that it takes a signal until its registers are restored.
//!   WANT-3 says who may change that.
//! - **SIGNAL-2** while a thread is in a handler, its context holds what it goes back to.
//! - **SIGNAL-3** a signal without a handler is never posted: it ends the process at once, or, if it is SIGCHLD, does
//!   nothing. One that lost its handler afterwards has that effect when the thread takes it.
//! - **SIGNAL-4** while a process has a handler, each of its running threads has a context. Handlers are set, and
//!   threads are added, with `life` locked and only if that holds; who finds that a thread has no context lets go of
//!   the lock, makes one, and looks again.

pub mod deliver;
mod handlers;
pub mod send;

use alloc::boxed::Box;

use mm::NoMemory;
use smp::fiber::FpuState;

use crate::attention::Attention;
use crate::registers::UserRegisters;
use crate::thread::Thread;

pub(crate) use self::handlers::Handlers;
pub use self::handlers::{set_all_handlers, set_handler};
pub(crate) use self::send::{hand_over, notify_of_child};

/// What a thread in a handler goes back to.
pub(crate) struct Context {
    registers: UserRegisters,
    fpu: FpuState,
}

/// With what a new thread begins as to signals.
pub(crate) struct SignalState {
    pub(crate) attention: Attention,
    pub(crate) context: Option<Box<Context>>,
}

impl SignalState {
    /// In no handler.
    pub(crate) fn new() -> SignalState {
        SignalState {
            attention: Attention::new(),
            context: None,
        }
    }

    /// In a handler if `thread` is, which calls this, with a copy of what it goes back to.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(crate) fn copy_of(thread: &Thread) -> Result<SignalState, NoMemory> {
        if !thread.attention.is_in_handler() {
            return Ok(SignalState::new());
        }
        let mut copy = Context::new()?;
        // SIGNAL-2.
        if let Some(context) = &*thread.signal_context.lock() {
            copy.registers.clone_from(&context.registers);
            copy.fpu.copy_from(&context.fpu);
        }
        Ok(SignalState {
            attention: thread.attention.copy_for_fork(),
            context: Some(copy),
        })
    }
}

impl Context {
    /// Room for one; what is in it means nothing.
    fn new() -> Result<Box<Context>, NoMemory> {
        mm::heap::try_box(Context {
            registers: UserRegisters::start(0, 0, 0, 0),
            fpu: FpuState::unsaved().map_err(|_| NoMemory)?,
        })
    }
}

/// Whether `thread` has a context.
fn has_context(thread: &Thread) -> bool {
    thread.signal_context.lock().is_some()
}

/// Whether `thread` lacks the context that SIGNAL-4 wants it to have. Believe it with the `life` of its process locked
/// only.
pub(crate) fn lacks_context(thread: &Thread) -> bool {
    let has_handlers = thread
        .process()
        .is_some_and(|process| process.handlers.are_used());
    has_handlers && !has_context(thread)
}

/// Gives `thread` a context if it has none.
///
/// # Errors
/// [`NoMemory`].
pub(crate) fn provide_context(thread: &Thread) -> Result<(), NoMemory> {
    let context = Context::new()?;
    let mut place = thread.signal_context.lock();
    let spare = match &*place {
        None => place.replace(context),
        Some(_) => Some(context),
    };
    // Freed without the lock.
    drop(place);
    drop(spare);
    Ok(())
}
