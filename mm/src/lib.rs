//! Memory: frames, page tables, address spaces, shootdown and user copies.
//!
//! `mm` knows nothing of processes or files: a file-backed region reaches its file through a trait defined here.
#![cfg_attr(not(test), no_std)]

#[cfg(not(target_os = "none"))]
extern crate std;

pub mod addr;
pub mod error;
pub mod frame;
pub mod hw;

pub use error::{MapError, NoMemory, SpaceError};
