//! Strings as the kernel takes them: with a NUL at the end, copied onto the stack.

use abi::Errno;

/// A string of at most `CAPACITY - 1` bytes and a NUL.
pub(crate) struct CString<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
}

impl<const CAPACITY: usize> CString<CAPACITY> {
    /// Copies `string`; fails with `too_long` if it does not fit, with `EINVAL` if it has a NUL in it.
    pub(crate) fn new(string: &str, too_long: Errno) -> Result<CString<CAPACITY>, Errno> {
        if string.len() >= CAPACITY {
            return Err(too_long);
        }
        if string.as_bytes().contains(&0) {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; CAPACITY];
        for (place, &byte) in bytes.iter_mut().zip(string.as_bytes()) {
            *place = byte;
        }
        Ok(CString { bytes })
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::CString;
    use abi::Errno;

    #[test]
    fn what_does_not_fit_with_its_nul_is_refused() {
        assert!(
            CString::<4>::new("abc", Errno::E2BIG).is_ok_and(|string| &string.bytes == b"abc\0")
        );
        assert_eq!(
            CString::<4>::new("abcd", Errno::E2BIG).err(),
            Some(Errno::E2BIG)
        );
        assert_eq!(
            CString::<4>::new("a\0b", Errno::E2BIG).err(),
            Some(Errno::EINVAL)
        );
    }
}
