//! Error numbers: Linux's, with Linux's names.

use core::fmt::{self, Debug, Display};

use crate::result::MAX_ERRNO;

/// Why a system call failed.
///
/// `Debug` prints the name (`ENOENT`), `Display` a phrase for people ("no such file").
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
// As wide as a result, so that a `Result<usize, Errno>` travels in two registers.
pub struct Errno(usize);

macro_rules! errnos {
    ($($name:ident = $number:literal, $phrase:literal;)+) => {
        impl Errno {
            $(
                #[doc = concat!($phrase, ".")]
                pub const $name: Errno = Errno($number);
            )+

            /// All errors that have names, by their numbers.
            pub const ALL: &'static [Errno] = &[$(Errno::$name),+];

            /// The error's name, if it is one that Argonaut uses.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Errno::$name => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            const fn phrase(self) -> Option<&'static str> {
                match self {
                    $(Errno::$name => Some($phrase),)+
                    _ => None,
                }
            }
        }

    };
}

errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such file";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted by a signal";
    EIO = 5, "input/output error";
    E2BIG = 7, "argument string too long";
    ENOEXEC = 8, "not an executable program";
    EBADF = 9, "bad file descriptor";
    ECHILD = 10, "no such child process";
    EAGAIN = 11, "temporarily unavailable";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "permission denied";
    EFAULT = 14, "bad address";
    EBUSY = 16, "busy";
    EEXIST = 17, "exists already";
    ENODEV = 19, "no such device";
    ENOTDIR = 20, "not a directory";
    EISDIR = 21, "is a directory";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many open files in the system";
    EMFILE = 24, "too many open files";
    ENOTTY = 25, "not a terminal";
    ETXTBSY = 26, "program file is being run";
    EFBIG = 27, "file too large";
    ENOSPC = 28, "no space left";
    ESPIPE = 29, "cannot seek in this file";
    EROFS = 30, "read-only file system";
    EPIPE = 32, "pipe has no reader";
    ERANGE = 34, "result out of range";
    EDEADLK = 35, "would deadlock";
    ENAMETOOLONG = 36, "name too long";
    ENOSYS = 38, "no such system call";
    ENOTEMPTY = 39, "directory not empty";
    EOVERFLOW = 75, "value too large";
    ETIMEDOUT = 110, "timed out";
}

impl Errno {
    /// The error with this number, if it can be one: 1 to [`MAX_ERRNO`].
    pub const fn from_number(number: usize) -> Option<Errno> {
        if 1 <= number && number <= MAX_ERRNO {
            // The bound above fits 16 bits.
            Some(Errno(number))
        } else {
            None
        }
    }

    /// The error's number, 1 to [`MAX_ERRNO`].
    pub const fn number(self) -> usize {
        self.0
    }
}

impl Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phrase() {
            Some(phrase) => f.pad(phrase),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn every_error_has_its_own_number_in_ascending_order() {
        assert!(Errno::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_error_survives_its_number() {
        for &errno in Errno::ALL {
            assert_eq!(Errno::from_number(errno.number()), Some(errno));
        }
        assert_eq!(Errno::from_number(0), None);
        assert_eq!(Errno::from_number(4096), None);
    }

    #[test]
    fn known_and_unknown_errors_print_readably() {
        assert_eq!(
            format!("{:?}: {}", Errno::ENOENT, Errno::ENOENT),
            "ENOENT: no such file"
        );
        let unknown = Errno::from_number(4000).unwrap();
        assert_eq!(format!("{unknown:?}: {unknown}"), "errno 4000: error 4000");
    }
}
