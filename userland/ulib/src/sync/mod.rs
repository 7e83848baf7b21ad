//! Locks and what else threads need to work together. Who waits sleeps in the kernel.

mod mutex;
mod raw_mutex;

pub use mutex::{Mutex, MutexGuard};
pub use raw_mutex::RawMutex;
