//! System calls: from the number in `rax` to one function a call, one file a family.
//!
//! Each function reads like the call's manual page, which stands in `abi`: parse the arguments, check, call into a
//! subsystem, return one result.

mod common_pipe;
mod cpu;
mod failures;
mod file;
mod futex;
mod map;
mod memory;
mod offer;
mod process;
mod signal;
mod system;
mod thread;
mod time;

use abi::{Errno, Sysno};
use mm::flush::limbo;
use proc::registers::UserRegisters;
use proc::thread::Thread;

/// The caller and its registers: those that a function preserves are not saved yet (`trap::stubs`).
#[derive(Copy, Clone)]
struct Call<'a> {
    thread: &'a Thread,
    registers: &'a UserRegisters,
}

type Handler = fn(Call<'_>) -> Result<usize, Errno>;

/// Builds [`HANDLERS`] from the one table of calls: the call `name` is handled by the function `name` in [`handlers`].
macro_rules! handler_table {
    ($($(#[doc = $doc:literal])+
       $variant:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        static HANDLERS: [Handler; Sysno::COUNT] = [$(handlers::$name),+];
    };
}
abi::for_each_system_call!(handler_table);

/// The functions that handle the calls, by their names.
mod handlers {
    pub(super) use super::common_pipe::{piperead, pipewrite};
    pub(super) use super::cpu::{get_affinity, getcpu, set_affinity};
    pub(super) use super::file::{close, dup, open, pipe, read, readdir, seek, write};
    pub(super) use super::futex::{futex_wait, futex_wake};
    pub(super) use super::map::map;
    pub(super) use super::memory::{
        mapping, r#move, page_alloc, page_alloc_range, page_free, protect, unmap,
    };
    pub(super) use super::offer::{attach, share};
    pub(super) use super::process::{
        exit, fork, getpid, getppid, gettid, spawn, spawn_with, waitpid, r#yield,
    };
    pub(super) use super::signal::{kill, sigaction, signal, sigreturn};
    pub(super) use super::system::{console_put, log, panic, sysinfo};
    pub(super) use super::thread::{
        create_thread, create_thread_registers, exit_thread, join_thread, join_thread_wait,
        set_tls_base,
    };
    pub(super) use super::time::{clock_ns, sleep_ms};
}

/// Does what the caller's registers ask for and stores the result in them.
#[inline]
pub(crate) fn dispatch(thread: &Thread, registers: &mut UserRegisters) {
    let result = match HANDLERS.get(registers.rax as usize) {
        Some(handler) => handler(Call { thread, registers }),
        None => failures::beyond_the_table(Call { thread, registers }),
    };
    registers.set_result(match result {
        Ok(value) => value as isize,
        Err(errno) => refuse(Call { thread, registers }, errno),
    });
}

/// Makes the call that has put itself off until all registers of the caller are saved.
pub(crate) fn dispatch_with_all_registers(thread: &Thread, registers: &mut UserRegisters) {
    let mut result = process::fork_with_registers(thread, registers);
    if result == Err(Errno::ENOMEM) && limbo::drain_if_used() {
        result = process::fork_with_registers(thread, registers);
    }
    registers.set_result(abi::encode(result));
}

/// The result of a call that has failed. If that was for want of memory, and there may be some that only waits for other
/// CPUs, it is made once more: nothing has changed. (Only an `open` whose last descriptor another thread has taken may
/// have made the file.)
#[cold]
fn refuse(call: Call<'_>, errno: Errno) -> isize {
    match HANDLERS.get(call.registers.rax as usize) {
        Some(handler)
            if matches!(errno, Errno::ENOMEM | Errno::ENOSPC) && limbo::drain_if_used() =>
        {
            abi::encode(handler(call))
        }
        _ => abi::encode(Err(errno)),
    }
}

impl<'a> Call<'a> {
    /// The arguments as they stand in the registers.
    fn arguments(self) -> [usize; 6] {
        let r = self.registers;
        [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9].map(|register| register as usize)
    }

    /// The caller's process.
    fn process(self) -> Result<&'a alloc::sync::Arc<proc::process::Process>, Errno> {
        self.thread.process().ok_or(Errno::ESRCH)
    }

    /// The caller's memory.
    fn space(self) -> Result<&'a alloc::sync::Arc<mm::space::Space>, Errno> {
        self.process()?.space().ok_or(Errno::EINVAL)
    }
}
