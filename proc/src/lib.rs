//! The process table: processes, threads, the scheduler, waiting, pipes and files.
//!
//! Nothing in here is `unsafe`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod affinity;
pub mod attention;
mod birth;
pub mod common_pipe;
pub mod create_thread;
pub mod elf_image;
pub mod exit;
pub mod file;
pub mod fork;
pub mod futex;
pub mod init_requests;
pub mod join;
pub mod kernel_program;
#[cfg(all(test, loom))]
mod model_queue;
#[cfg(all(test, loom))]
mod model_threads;
pub mod name;
pub mod offers;
pub mod parking;
pub mod pipe;
pub mod process;
pub mod registers;
pub mod sched;
pub mod signal;
pub mod single_wait;
pub mod sleep;
pub mod sleep_lock;
mod sleep_places;
pub mod spaces;
pub mod spawn;
mod sync;
pub mod table;
pub mod thread;
mod turn;
pub mod wait;
pub mod wait_pid;

use mm::NoMemory;

use crate::registers::UserRegisters;
use crate::thread::Thread;

/// Makes the process table, with `table_capacity` entries, and the scheduler, at boot.
///
/// `run_user` runs a thread in user mode, from the given registers on, until it is to end.
///
/// # Errors
/// [`NoMemory`] if the machine is too small.
pub fn init(
    possible_cpus: usize,
    table_capacity: usize,
    run_user: fn(&Thread, UserRegisters),
) -> Result<(), NoMemory> {
    mm::rw_lock::set_sleeper(&sleep_places::SLEEPER);
    mm::fail::set_current_thread(sched::current_id);
    table::init(table_capacity)?;
    sleep::init(possible_cpus)?;
    sched::init(possible_cpus, run_user)
}
