//! The functions that compiled Rust code calls by name to move, fill and compare memory.
//!
//! They are in assembly because a compiler that sees such a loop in Rust may replace it by a call to the function that
//! it stands in. They move 16 bytes at a time: under emulation that is faster than the string instructions, each
//! iteration of which counts.

use core::arch::naked_asm;

/// Copies `len` bytes; the areas do not overlap. Returns `to`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 3f",
        // 16 bytes at a time from the beginning; the last 16 overlap what has been copied.
        "lea rcx, [rdx - 16]",
        "xor r8d, r8d",
        "2:",
        "movups xmm0, [rsi + r8]",
        "movups [rdi + r8], xmm0",
        "add r8, 16",
        "cmp r8, rcx",
        "jb 2b",
        "movups xmm0, [rsi + rcx]",
        "movups [rdi + rcx], xmm0",
        "ret",
        "3:",
        "xor r8d, r8d",
        "4:",
        "cmp r8, rdx",
        "je 5f",
        "mov cl, [rsi + r8]",
        "mov [rdi + r8], cl",
        "inc r8",
        "jmp 4b",
        "5:",
        "ret",
    )
}

/// Copies `len` bytes; the areas may overlap. Returns `to`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "mov r8, rdi",
        "sub r8, rsi",
        "cmp r8, rdx",
        "jae 4f", // `to` is not within the source: upwards, byte by byte what does not fill 16
        // Downwards: 16 bytes at a time while there are as many, then the rest.
        "2:",
        "cmp rdx, 16",
        "jb 3f",
        "movups xmm0, [rsi + rdx - 16]",
        "movups [rdi + rdx - 16], xmm0",
        "sub rdx, 16",
        "jmp 2b",
        "3:",
        "test rdx, rdx",
        "je 7f",
        "mov cl, [rsi + rdx - 1]",
        "mov [rdi + rdx - 1], cl",
        "dec rdx",
        "jmp 3b",
        "4:",
        "xor r8d, r8d",
        "5:",
        "lea rcx, [r8 + 16]",
        "cmp rcx, rdx",
        "ja 6f",
        "movups xmm0, [rsi + r8]",
        "movups [rdi + r8], xmm0",
        "mov r8, rcx",
        "jmp 5b",
        "6:",
        "cmp r8, rdx",
        "je 7f",
        "mov cl, [rsi + r8]",
        "mov [rdi + r8], cl",
        "inc r8",
        "jmp 6b",
        "7:",
        "ret",
    )
}

/// Fills `len` bytes with the low byte of `value`. Returns `to`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 3f",
        "movzx esi, sil",
        "mov rcx, 0x0101010101010101",
        "imul rcx, rsi",
        "movq xmm0, rcx",
        "punpcklqdq xmm0, xmm0",
        "lea rcx, [rdi + rdx - 16]",
        "2:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, rcx",
        "jb 2b",
        "movups [rcx], xmm0",
        "ret",
        "3:",
        "test rdx, rdx",
        "je 4f",
        "mov [rdi + rdx - 1], sil",
        "dec rdx",
        "jmp 3b",
        "4:",
        "ret",
    )
}

/// Compares `len` bytes: below, at or above 0 as `left` is less than, equal to or greater than `right`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    naked_asm!(
        "xor r8d, r8d",
        // 8 bytes at a time while they are equal, then byte by byte.
        "2:",
        "lea rcx, [r8 + 8]",
        "cmp rcx, rdx",
        "ja 3f",
        "mov rax, [rdi + r8]",
        "cmp rax, [rsi + r8]",
        "jne 3f",
        "mov r8, rcx",
        "jmp 2b",
        "3:",
        "cmp r8, rdx",
        "je 4f",
        "movzx eax, byte ptr [rdi + r8]",
        "movzx ecx, byte ptr [rsi + r8]",
        "inc r8",
        "sub eax, ecx",
        "je 3b",
        "ret",
        "4:",
        "xor eax, eax",
        "ret",
    )
}

/// Compares `len` bytes: 0 if they are equal.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    naked_asm!("jmp {compare}", compare = sym memcmp)
}

/// The length of a string up to its NUL.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    naked_asm!(
        "xor eax, eax",
        "2:",
        "cmp byte ptr [rdi + rax], 0",
        "je 3f",
        "inc rax",
        "jmp 2b",
        "3:",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::{bcmp, memcmp, memcpy, memmove, memset, strlen};

    const LENGTHS: core::ops::Range<usize> = 0..70;

    fn pattern() -> Vec<u8> {
        (0..200).collect()
    }

    #[test]
    fn copies_are_exact_for_every_length_and_offset() {
        for len in LENGTHS {
            for offset in 0..17 {
                let (from, mut to) = (pattern(), vec![0xee_u8; 200]);
                // SAFETY: both vectors are longer than offset and length together, and do not overlap.
                let returned =
                    unsafe { memcpy(to.as_mut_ptr().add(offset), from.as_ptr().add(3), len) };
                assert_eq!(returned, to[offset..].as_mut_ptr());
                assert_eq!(to[offset..offset + len], from[3..3 + len]);
                assert!(
                    to[..offset]
                        .iter()
                        .chain(&to[offset + len..])
                        .all(|&byte| byte == 0xee)
                );
            }
        }
    }

    #[test]
    fn overlapping_moves_are_exact_in_both_directions() {
        for len in LENGTHS {
            for (from, to) in [
                (50, 50),
                (50, 51),
                (50, 65),
                (50, 66),
                (50, 67),
                (50, 49),
                (50, 35),
                (50, 34),
                (50, 33),
            ] {
                let (mut bytes, mut expected) = (pattern(), pattern());
                expected.copy_within(from..from + len, to);
                let start = bytes.as_mut_ptr();
                // SAFETY: offsets and length stay within the vector.
                unsafe { memmove(start.add(to), start.add(from), len) };
                assert_eq!(bytes, expected, "{len} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn fills_are_exact_and_take_the_low_byte() {
        for len in LENGTHS {
            let mut bytes = vec![0_u8; 100];
            // SAFETY: 5 + 69 bytes are within the vector.
            unsafe { memset(bytes.as_mut_ptr().add(5), 0x1ab, len) };
            let filled = bytes
                .iter()
                .enumerate()
                .all(|(at, &byte)| (byte == 0xab) == (5..5 + len).contains(&at));
            assert!(filled, "{len}");
        }
    }

    #[test]
    fn comparisons_find_the_first_difference_and_its_direction() {
        for len in LENGTHS {
            let left = pattern();
            // SAFETY: both vectors are longer than the length.
            let compare = |right: &[u8]| unsafe {
                let result = memcmp(left.as_ptr(), right.as_ptr(), len);
                assert_eq!(bcmp(left.as_ptr(), right.as_ptr(), len) == 0, result == 0);
                result.signum()
            };
            assert_eq!(compare(&left), 0);
            for place in 0..len {
                let mut right = pattern();
                right[place] += 1;
                right[place + 1..].fill(0);
                assert_eq!(compare(&right), -1, "{place} of {len}");
                assert_eq!(compare(&left), 0);
                right[place] = left[place].wrapping_sub(1);
                assert_eq!(
                    compare(&right),
                    if place == 0 { -1 } else { 1 },
                    "{place} of {len}"
                );
            }
        }
    }

    #[test]
    fn a_string_ends_at_its_nul() {
        // SAFETY: the strings have their NULs.
        unsafe {
            assert_eq!(strlen(c"".as_ptr().cast()), 0);
            assert_eq!(strlen(c"twelve bytes".as_ptr().cast()), 12);
        }
    }
}
