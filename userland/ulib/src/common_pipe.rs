//! The pipe that all processes have in common.

use abi::{Errno, decode};

use crate::system_call;

/// Takes bytes out of the pipe; returns how many.
///
/// # Errors
/// Those of the system call `piperead`.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's own length into it.
    decode(unsafe { system_call::piperead(buffer.as_mut_ptr(), buffer.len()) })
}

/// Puts bytes into the pipe; returns how many.
///
/// # Errors
/// Those of the system call `pipewrite`.
pub fn write(bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::pipewrite(bytes.as_ptr(), bytes.len()) })
}
