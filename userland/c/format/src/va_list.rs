//! C's list of arguments, as the System V ABI for x86-64 lays it out.

use core::ffi::c_void;
use core::mem::offset_of;

/// Where the general registers end in the area where a function saves them, and the vector registers begin.
const GENERAL_END: u32 = 6 * 8;
/// Where the vector registers end.
const VECTOR_END: u32 = GENERAL_END + 8 * 16;

/// A `va_list`: C passes a pointer to it.
#[repr(C)]
#[derive(Debug)]
pub struct VaList {
    /// Where in the saved registers the next general one is.
    general_offset: u32,
    /// Where the next vector register is.
    vector_offset: u32,
    /// The next argument on the stack.
    on_stack: *const c_void,
    saved_registers: *const c_void,
}

const _: () = assert!(size_of::<VaList>() == 24 && offset_of!(VaList, saved_registers) == 16);

impl VaList {
    /// A list of words, as if all registers had been used up before.
    ///
    /// # Safety
    /// The words stay as long as the list is used.
    pub unsafe fn of_words(words: &[u64]) -> VaList {
        VaList {
            general_offset: GENERAL_END,
            vector_offset: VECTOR_END,
            on_stack: words.as_ptr().cast(),
            saved_registers: core::ptr::null(),
        }
    }

    /// The next argument, an integer or a pointer.
    ///
    /// # Safety
    /// There is one, and it is of such a type.
    pub unsafe fn next_word(&mut self) -> u64 {
        if self.general_offset < GENERAL_END {
            let place = self
                .saved_registers
                .wrapping_byte_add(self.general_offset as usize);
            self.general_offset += 8;
            // SAFETY: the offset is within the saved registers; by the caller's word this one is an argument.
            return unsafe { place.cast::<u64>().read() };
        }
        // SAFETY: by the caller's word.
        unsafe { self.next_on_stack() }
    }

    /// The next argument, a `double`.
    ///
    /// # Safety
    /// There is one, and it is a `double`.
    pub unsafe fn next_double(&mut self) -> f64 {
        if self.vector_offset < VECTOR_END {
            let place = self
                .saved_registers
                .wrapping_byte_add(self.vector_offset as usize);
            self.vector_offset += 16;
            // SAFETY: as in `next_word`.
            return unsafe { place.cast::<f64>().read() };
        }
        // SAFETY: by the caller's word.
        f64::from_bits(unsafe { self.next_on_stack() })
    }

    /// # Safety
    /// There is a next argument, and it is on the stack.
    unsafe fn next_on_stack(&mut self) -> u64 {
        let place = self.on_stack.cast::<u64>();
        self.on_stack = place.wrapping_add(1).cast();
        // SAFETY: by the caller's word.
        unsafe { place.read() }
    }
}
