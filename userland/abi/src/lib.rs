//! The contract between the kernel and user programs.
//!
//! A program asks with the `syscall` instruction: the call's number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`, the
//! result in `rax`; `rcx` and `r11` are lost, all other registers are kept. [`for_each_system_call!`] is the one table
//! of calls; the kernel's dispatch table, the stubs of `ulib` and the documentation are made from it.
//!
//! Everything in here is plain data and pure functions, the same on both sides and tested on the host.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arguments;
mod call_errors;
mod calls;
mod console;
mod errno;
pub mod failures;
mod file;
mod flag_set;
pub mod init;
pub mod layout;
mod memory;
mod result;
mod signal;
mod status;
mod sysinfo;
mod thread;

pub use call_errors::ErrnoSet;
pub use calls::{Argument, Pid, Sysno, SystemCall, TABLE};
pub use console::{LOG_MAX, SCREEN_COLUMNS, SCREEN_ROWS};
pub use errno::Errno;
pub use file::{
    COMMON_PIPE_LEN, Dirent, FileKind, NAME_MAX, OpenFlags, PATH_MAX, PIPE_ATOMIC, STDERR, STDIN,
    STDOUT, Whence,
};
pub use flag_set::Flag;
pub use memory::{
    GUARD_GAP_LEN, MapFlags, MappingInfo, NO_FILE, OFFERS_MAX, PageState, Protection, REGIONS_MAX,
};
pub use result::{MAX_ERRNO, decode, encode};
pub use signal::{FaultKind, NO_HANDLER, Signal};
pub use status::{ExitStatus, INIT_PID, Outcome, WAIT_ANY, WaitFlags};
pub use sysinfo::SysInfo;
pub use thread::ThreadRegisters;
