//! Waiting for a word of memory to change: what the locks of [`crate::sync`] are made of.

#[cfg(test)]
mod host;

#[cfg(test)]
pub use self::host::{wait, wake};
#[cfg(not(test))]
pub use self::machine::{wait, wake};

#[cfg(not(test))]
mod machine {
    use core::sync::atomic::AtomicU32;

    use abi::{Errno, decode};

    use crate::system_call;

    /// If `word` is `value`, sleeps until [`wake`] is called for it.
    ///
    /// # Errors
    /// Those of the system call `futex_wait`: `EAGAIN` if the word is something else, `EINTR` after a signal.
    pub fn wait(word: &AtomicU32, value: u32) -> Result<(), Errno> {
        // SAFETY: the kernel only reads the word.
        decode(unsafe { system_call::futex_wait(word.as_ptr(), value) }).map(drop)
    }

    /// Wakes up to `count` of the threads that sleep for `word`; returns how many.
    pub fn wake(word: &AtomicU32, count: u32) -> usize {
        // SAFETY: the call touches no memory. It has no error for a word that is there.
        decode(unsafe { system_call::futex_wake(word.as_ptr(), count) }).unwrap_or(0)
    }
}
