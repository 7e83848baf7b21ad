//! Locks and what else threads need to work together. Who waits sleeps in the kernel.
//!
//! A signal may interrupt any wait, which then goes on; its handler must not wait for what the interrupted thread may
//! have. In the child of a `fork` there are no other threads: what they had locked or begun stays so.

mod barrier;
mod condvar;
mod mutex;
mod once;
mod raw_mutex;

pub use barrier::Barrier;
pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use once::Once;
pub use raw_mutex::RawMutex;

#[cfg(test)]
mod tests;
