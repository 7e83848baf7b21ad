//! Where things stand in a program's address space, and with what a program starts.
//!
//! A program's first instruction runs with `rdi` = address of its argument string, `rsi` = the string's length in bytes
//! without the NUL that follows it, and `rsp` as after a `call` (16-byte alignment plus 8). The other general registers
//! are zero. The argument string is the program's name and, if `spawn_with` gave any, a space and the arguments; it
//! lies in writable memory at the top of the stack and belongs to the program. [`crate::arguments`] says how it is
//! taken apart.

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// The first address of user space with 4-level page tables.
pub const USER_START: usize = 0xffff_8000_0000_0000;

/// The first address of user space with 5-level page tables. What was user space with four levels is part of it.
pub const USER_START_5_LEVEL: usize = 0xff00_0000_0000_0000;

/// The end of user space (exclusive): the last page is never mapped.
pub const USER_END: usize = 0xffff_ffff_ffff_f000;

/// Where programs are linked.
pub const PROGRAM_BASE: usize = 0xffff_8000_0020_0000;

/// The end of the stack (exclusive), which grows down. The page between it and [`PROGRAM_BASE`] is never mapped.
pub const STACK_TOP: usize = PROGRAM_BASE - PAGE_SIZE;

/// How long the stack is at first. A touch below it makes it longer.
pub const STACK_LEN_AT_START: usize = 4 * PAGE_SIZE;

/// How long the stack can become.
pub const STACK_LEN_PAGES: usize = 64;

/// The lowest address that the stack can come to have.
pub const STACK_BOTTOM: usize = STACK_TOP - STACK_LEN_PAGES * PAGE_SIZE;

/// Where `ulib` puts a program's heap, far above any program.
pub const HEAP_BASE: usize = 0xffff_8100_0000_0000;

/// Where a signal handler returns to. Nothing is ever mapped there: a thread that goes there has done what `sigreturn`
/// does.
pub const SIGNAL_RETURN: usize = USER_END;

/// How many bytes below the stack pointer of what it interrupts a signal handler leaves alone: compilers keep values
/// there.
pub const RED_ZONE_LEN: usize = 128;

/// The longest argument string, without its NUL.
pub const ARGUMENT_MAX: usize = 4095;

const _: () = assert!(PROGRAM_BASE.is_multiple_of(PAGE_SIZE) && STACK_BOTTOM > USER_START);
