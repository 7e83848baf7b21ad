//! How a result travels in one register.
//!
//! User addresses are negative as signed numbers, so a result is an error only from `-4095` to `-1`. That range as
//! addresses is the last page, which is never mapped and lies outside user space.

use crate::Errno;

/// The largest error number.
pub const MAX_ERRNO: usize = 4095;

/// What the kernel puts into `rax` for `result`.
#[inline]
pub const fn encode(result: Result<usize, Errno>) -> isize {
    match result {
        Ok(value) => value.cast_signed(),
        Err(errno) => -(errno.number().cast_signed()),
    }
}

/// What a value of `rax` after a system call means.
#[inline]
pub const fn decode(register: isize) -> Result<usize, Errno> {
    match Errno::from_number(register.wrapping_neg().cast_unsigned()) {
        Some(errno) => Err(errno),
        None => Ok(register.cast_unsigned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::{Errno, layout};

    #[test]
    fn values_and_user_addresses_are_not_errors() {
        let values = [
            0,
            1,
            isize::MAX.cast_unsigned(),
            layout::USER_START,
            layout::USER_END - 1,
            layout::USER_END,
        ];
        for value in values {
            assert_eq!(decode(encode(Ok(value))), Ok(value), "{value:#x}");
        }
    }

    #[test]
    fn the_last_page_is_the_error_range() {
        for number in [1, 14, 4095] {
            let errno = Errno::from_number(number).unwrap();
            assert_eq!(encode(Err(errno)), -number.cast_signed());
            assert_eq!(decode(-number.cast_signed()), Err(errno));
        }
        assert_eq!(decode(-4096), Ok(usize::MAX - 4095));
    }
}
