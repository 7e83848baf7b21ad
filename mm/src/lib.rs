//! Memory: frames, page tables, address spaces, shootdown and user copies.
//!
//! `mm` knows nothing of processes or files: a file-backed region reaches its file through a trait defined here.
#![cfg_attr(not(test), no_std)]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

pub mod addr;
pub mod aspace;
pub mod error;
pub mod fail;
pub mod flush;
pub mod frame;
pub mod heap;
pub mod hw;
pub mod kernel_map;
pub mod page_table;
pub mod rw_lock;
pub mod space;
pub mod stack;
pub mod user;

pub use error::{MapError, NoMemory, SpaceError};
pub use page_table::PhysicalRange;

/// Gives each of `cpus` CPUs what it has of its own: caches of frames, a slot of the heap, a pool of stacks, what it
/// knows of its TLB. Once, by the boot CPU before another CPU runs; `frame::init` comes before.
///
/// # Errors
/// [`NoMemory`].
pub fn init_cpus(cpus: usize) -> Result<(), NoMemory> {
    frame::init_cpu_caches(cpus)?;
    heap::init(cpus)?;
    stack::init(cpus)?;
    flush::init(cpus)
}
