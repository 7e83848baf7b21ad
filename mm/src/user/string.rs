//! Strings that a user passes: bytes up to a NUL, copied into a buffer of the caller's.

use abi::Errno;

use crate::user::BadUserAddress;
use crate::user::copy::copy_in;

/// A user's claim that a string that ends with a NUL begins at an address.
#[derive(Copy, Clone, Debug)]
pub struct UserString {
    address: usize,
}

/// Why a string could not be copied in.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum UserStringError {
    /// It, with its NUL, does not fit the caller's buffer.
    TooLong,
    /// Some of it, or its end, is not in the user's memory.
    BadAddress,
}

impl UserStringError {
    /// The error number, where `too_long` is what this caller says to a long string: `ENAMETOOLONG` for a name, `E2BIG`
    /// for arguments.
    pub fn errno(self, too_long: Errno) -> Errno {
        match self {
            UserStringError::TooLong => too_long,
            UserStringError::BadAddress => Errno::EFAULT,
        }
    }
}

impl From<BadUserAddress> for UserStringError {
    fn from(_: BadUserAddress) -> UserStringError {
        UserStringError::BadAddress
    }
}

/// How much is copied at a time: enough for most names, little enough not to matter beyond a short one. A multiple of
/// this never lies inside a block, so a block that ends at one crosses into no page that the string has not reached.
const BLOCK_BYTES: usize = 64;

impl UserString {
    /// The claim, unchecked.
    pub const fn new(address: usize) -> UserString {
        UserString { address }
    }

    /// Copies the string into `buffer`, which has to have room for the NUL too, and returns it without the NUL.
    ///
    /// No byte is read twice, and nothing in a page behind the one with the NUL.
    ///
    /// # Errors
    /// [`UserStringError`].
    pub fn copy_in(self, buffer: &mut [u8]) -> Result<&[u8], UserStringError> {
        let mut len_copied = 0;
        loop {
            let address = self.address.checked_add(len_copied).ok_or(BadUserAddress)?;
            let len_block = BLOCK_BYTES - address % BLOCK_BYTES;
            let room = buffer.get_mut(len_copied..).unwrap_or_default();
            let Some(block) = room
                .get_mut(..len_block.min(room.len()))
                .filter(|block| !block.is_empty())
            else {
                return Err(UserStringError::TooLong);
            };
            copy_in(block, address)?;
            if let Some(len_tail) = block.iter().position(|&byte| byte == 0) {
                return Ok(buffer.get(..len_copied + len_tail).unwrap_or_default());
            }
            len_copied += block.len();
        }
    }
}
