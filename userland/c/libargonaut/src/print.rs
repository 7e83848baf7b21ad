//! `printf` and its kin, in the forms that take a list of arguments; the header makes the others of them.

use core::ffi::{CStr, c_char, c_int};

use abi::{LOG_MAX, STDOUT};
use c_format::{Output, VaList};
use ulib::system_call;

use crate::output::{Descriptor, Memory};

/// Formats for `output`. Returns how many bytes that were.
///
/// # Safety
/// `format` is a string, and `arguments` are what it says.
pub(crate) unsafe fn print(
    output: &mut dyn Output,
    format: *const c_char,
    arguments: *mut VaList,
) -> c_int {
    // SAFETY: by the caller's word; C passes a list of arguments by its address.
    unsafe {
        let format = CStr::from_ptr(format).to_bytes();
        c_format::format(output, format, &mut *arguments) as c_int
    }
}

/// Prints to a descriptor.
///
/// # Safety
/// As for [`print`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vdprintf(fd: c_int, format: *const c_char, arguments: *mut VaList) -> c_int {
    // SAFETY: by the caller's word.
    unsafe { print(&mut Descriptor::new(fd), format, arguments) }
}

/// Prints to the standard output.
///
/// # Safety
/// As for [`print`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vprintf(format: *const c_char, arguments: *mut VaList) -> c_int {
    // SAFETY: by the caller's word.
    unsafe { vdprintf(STDOUT, format, arguments) }
}

/// Prints into the `len` bytes at `buffer`, with a NUL as the last if `len` is not 0. Returns how long the text is
/// without its NUL, also if not all of it is there.
///
/// # Safety
/// As for [`print`]; the bytes can be written, and are nobody else's.
#[unsafe(no_mangle)]
unsafe extern "C" fn vsnprintf(
    buffer: *mut c_char,
    len: usize,
    format: *const c_char,
    arguments: *mut VaList,
) -> c_int {
    let buffer: &mut [u8] = match len {
        // Then there may be no buffer.
        0 => &mut [],
        // SAFETY: by the caller's word.
        _ => unsafe { core::slice::from_raw_parts_mut(buffer.cast(), len) },
    };
    let mut memory = Memory::new(buffer);
    // SAFETY: by the caller's word.
    let printed = unsafe { print(&mut memory, format, arguments) };
    memory.terminate();
    printed
}

/// Prints a line to the kernel log. What is longer than the log takes is cut.
///
/// # Safety
/// As for [`print`].
#[unsafe(no_mangle)]
unsafe extern "C" fn log_vprintf(format: *const c_char, arguments: *mut VaList) {
    let mut text = [0; LOG_MAX + 1];
    // SAFETY: by the caller's word.
    unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, arguments) };
    // The log has lines; one that ends with a line feed is the same line.
    let end = text.iter().position(|&byte| byte == 0);
    let last = text.get_mut(..end.unwrap_or(0)).and_then(<[u8]>::last_mut);
    if let Some(last) = last.filter(|last| **last == b'\n') {
        *last = 0;
    }
    // SAFETY: the kernel reads a string with a NUL.
    unsafe { system_call::log(text.as_ptr()) };
}
