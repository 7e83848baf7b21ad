//! What may be copied to and from user memory as a value.

/// A type whose every bit pattern is a valid value and that has no padding: numbers, and structs of nothing else.
///
/// The first makes it safe to take it from a user, the second to give it to one (padding would carry old kernel bytes).
///
/// # Safety
/// 1. Any `size_of::<Self>()` bytes are a value of the type.
/// 2. All bytes of a value are initialised: the type has no padding.
pub unsafe trait PlainData: Copy + 'static {}

macro_rules! plain_numbers {
    ($($Number:ty),*) => {
        // SAFETY: 1. and 2. integers have neither invalid values nor padding.
        $(unsafe impl PlainData for $Number {})*
    };
}

plain_numbers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

// SAFETY: 1. and 2. an array is its elements, one after the other.
unsafe impl<T: PlainData, const N: usize> PlainData for [T; N] {}

/// Makes structs plain data. The compiler checks what has to hold: a field that is not plain data, is not listed, or is
/// followed by padding does not compile.
macro_rules! plain_structs {
    ($($Struct:path { $($field:ident),* $(,)? })*) => {
        $(
            const _: () = assert!(
                size_of::<$Struct>() == 0 $(+ size_of_field(|value: &$Struct| &value.$field))*,
                "a field is not listed, or there is padding"
            );

            // SAFETY: 1. all fields are plain data; 2. their sizes add up to that of the struct, so that there is
            // nothing besides them. Both have been checked above.
            unsafe impl PlainData for $Struct {}
        )*
    };
}

/// The size of the field that `_get` returns, if it is plain data.
const fn size_of_field<Struct, Field: PlainData>(_get: fn(&Struct) -> &Field) -> usize {
    size_of::<Field>()
}

plain_structs! {
    abi::Dirent { len, kind, name_len, name }
    abi::MappingInfo { start, len, page_len, protection, flags, page, is_page_alloc }
    abi::SysInfo {
        cpus, uptime_ns, total_frames, free_frames, pooled_frames, kernel_frames, kernel_heap_frames, kernel_stack_frames,
        page_table_frames, anonymous_frames, file_frames, pipe_frames, other_frames, heap_bytes, table_entries,
        table_capacity, shootdowns_sent, shootdown_targets, shootdowns_avoided,
    }
    abi::ThreadRegisters {
        rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, cs, rflags, rsp, ss, tls_base,
    }
}
