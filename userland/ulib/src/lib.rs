//! The Rust library of user programs: start-up, system calls, files, processes, printing, heap, assertions.
//!
//! A program is a file in `userland/programs/src/bin`:
//!
//! ```ignore
//! //! Prints a greeting.
//! #![no_std]
//! #![no_main]
//! ulib::program!(main);
//!
//! fn main(arguments: ulib::Arguments) -> i32 {
//!     ulib::println!("hello from {}", arguments.name());
//!     0
//! }
//! ```
//!
//! `fork` copies the thread that calls it with the memory of its process.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod accounts;
mod arguments;
mod c_string;
pub mod common_pipe;
mod cpu_mask;
pub mod failures;
pub mod file;
mod fixed_string;
pub mod futex;
#[cfg(not(test))]
mod heap;
mod line;
pub mod mapping;
pub mod memory;
mod memory_functions;
pub mod offer;
pub mod print;
pub mod process;
pub mod signal;
mod start;
pub mod sync;
pub mod system_call;
#[cfg(not(test))]
pub mod thread;

pub use abi::{
    Errno, ExitStatus, MapFlags, MappingInfo, Outcome, PageState, Pid, Protection, Signal, SysInfo,
    Whence,
};
pub use arguments::Arguments;
pub use cpu_mask::CpuMask;
pub use fixed_string::FixedString;
pub use start::{Termination, program_name, touch_image};
