//! Files: how they are opened, positioned and listed.

use crate::flag_set::Flag;

/// Descriptor of the standard input.
pub const STDIN: i32 = 0;
/// Descriptor of the standard output.
pub const STDOUT: i32 = 1;
/// Descriptor of the standard error output.
pub const STDERR: i32 = 2;

/// The longest name of one file within its directory, in bytes.
pub const NAME_MAX: usize = 111;
/// The longest path, in bytes without its NUL.
pub const PATH_MAX: usize = 1023;

/// So many bytes written to a pipe by one call stay together.
pub const PIPE_ATOMIC: usize = 512;

/// So many bytes the pipe of `pipewrite` and `piperead` holds.
pub const COMMON_PIPE_LEN: usize = 512;

/// How `open` opens a file: an access mode and flags, with Linux's numbers.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(transparent)]
pub struct OpenFlags(u32);

macro_rules! open_flags {
    ($($(#[doc = $doc:literal])+ $FLAG:ident = $bits:literal;)+) => {
        impl OpenFlags {
            $($(#[doc = $doc])+ pub const $FLAG: OpenFlags = OpenFlags($bits);)+

            /// Each access mode and flag with what it means, for the reference of system calls.
            pub const TABLE: &'static [Flag] = &[$(Flag {
                name: stringify!($FLAG),
                bits: $bits,
                documentation: &[$($doc),+],
            }),+];
        }
    };
}

open_flags! {
    /// For reading only.
    READ = 0;
    /// For writing only.
    WRITE = 1;
    /// For reading and writing.
    READ_WRITE = 2;
    /// Make the file if there is none.
    CREATE = 0o100;
    /// With [`OpenFlags::CREATE`]: fail with `EEXIST` if there is one.
    EXCLUSIVE = 0o200;
    /// Cut the file to length 0.
    TRUNCATE = 0o1000;
    /// Every write goes to the end of the file.
    APPEND = 0o2000;
}

impl OpenFlags {
    const ACCESS_MODE: u32 = 3;
    const KNOWN: u32 = OpenFlags::ACCESS_MODE | 0o100 | 0o200 | 0o1000 | 0o2000;

    /// The flags as a number.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The flags with these bits; none if an unknown bit is set or the access mode is not one of the three.
    pub const fn from_bits(bits: u32) -> Option<OpenFlags> {
        if bits & !OpenFlags::KNOWN != 0 || bits & OpenFlags::ACCESS_MODE == OpenFlags::ACCESS_MODE
        {
            None
        } else {
            Some(OpenFlags(bits))
        }
    }

    /// Both sets of flags. Combine an access mode with flags; two access modes do not make a third.
    #[must_use]
    pub const fn with(self, flags: OpenFlags) -> OpenFlags {
        OpenFlags(self.0 | flags.0)
    }

    /// Are all of `flags` set? Not for access modes: they have `readable` and `writable`.
    pub const fn contains(self, flags: OpenFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Does the access mode allow reading?
    pub const fn readable(self) -> bool {
        self.0 & OpenFlags::ACCESS_MODE != OpenFlags::WRITE.0
    }

    /// Does the access mode allow writing?
    pub const fn writable(self) -> bool {
        self.0 & OpenFlags::ACCESS_MODE != OpenFlags::READ.0
    }
}

/// What a `seek` counts from.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u32)]
pub enum Whence {
    /// The file's beginning.
    Start = 0,
    /// The present offset.
    Current = 1,
    /// The file's end.
    End = 2,
}

impl Whence {
    /// The meaning of a number, if it has one.
    pub const fn from_number(number: u32) -> Option<Whence> {
        match number {
            0 => Some(Whence::Start),
            1 => Some(Whence::Current),
            2 => Some(Whence::End),
            _ => None,
        }
    }
}

/// What a directory entry names.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u32)]
pub enum FileKind {
    /// A file with contents.
    File = 1,
    /// A directory.
    Directory = 2,
    /// A device, such as the console.
    Device = 3,
}

impl FileKind {
    /// The meaning of a number, if it has one.
    pub const fn from_number(number: u32) -> Option<FileKind> {
        match number {
            1 => Some(FileKind::File),
            2 => Some(FileKind::Directory),
            3 => Some(FileKind::Device),
            _ => None,
        }
    }
}

/// A directory entry, as `readdir` stores it: 128 bytes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(C)]
pub struct Dirent {
    /// The file's length in bytes; 0 for what has none.
    pub len: u64,
    /// A [`FileKind`] as a number.
    pub kind: u32,
    /// How many bytes of `name` count, at most [`NAME_MAX`].
    pub name_len: u32,
    /// The name, filled up with NULs, of which there is at least one.
    pub name: [u8; NAME_MAX + 1],
}

impl Dirent {
    /// An entry without a name.
    pub const EMPTY: Dirent = Dirent {
        len: 0,
        kind: 0,
        name_len: 0,
        name: [0; NAME_MAX + 1],
    };

    /// An entry; none if `name` is longer than [`NAME_MAX`].
    pub fn new(name: &[u8], kind: FileKind, len: u64) -> Option<Dirent> {
        let mut entry = Dirent {
            len,
            kind: kind as u32,
            name_len: 0,
            ..Dirent::EMPTY
        };
        if name.len() > NAME_MAX {
            return None;
        }
        entry.name.get_mut(..name.len())?.copy_from_slice(name);
        entry.name_len = u32::try_from(name.len()).ok()?;
        Some(entry)
    }

    /// The entry as it lies in memory.
    pub fn to_bytes(&self) -> [u8; size_of::<Dirent>()] {
        let mut bytes = [0; size_of::<Dirent>()];
        let (numbers, name) = bytes.split_at_mut(size_of::<Dirent>() - self.name.len());
        let (len, kinds) = numbers.split_at_mut(size_of::<u64>());
        let (kind, name_len) = kinds.split_at_mut(size_of::<u32>());
        len.copy_from_slice(&self.len.to_le_bytes());
        kind.copy_from_slice(&self.kind.to_le_bytes());
        name_len.copy_from_slice(&self.name_len.to_le_bytes());
        name.copy_from_slice(&self.name);
        bytes
    }

    /// The name's bytes.
    pub fn name(&self) -> &[u8] {
        self.name
            .get(..self.name_len as usize)
            .unwrap_or(&self.name)
    }
}

const _: () = assert!(size_of::<Dirent>() == 128);

#[cfg(test)]
mod tests {
    use super::{Dirent, FileKind, NAME_MAX, OpenFlags, Whence};

    #[test]
    fn access_modes_say_what_they_allow() {
        assert!(OpenFlags::READ.readable() && !OpenFlags::READ.writable());
        assert!(!OpenFlags::WRITE.readable() && OpenFlags::WRITE.writable());
        let both = OpenFlags::READ_WRITE.with(OpenFlags::CREATE);
        assert!(both.readable() && both.writable() && both.contains(OpenFlags::CREATE));
    }

    #[test]
    fn unknown_open_flags_and_modes_are_refused() {
        assert_eq!(OpenFlags::from_bits(3), None);
        assert_eq!(OpenFlags::from_bits(1 << 31), None);
        assert_eq!(
            OpenFlags::from_bits(0o1101),
            Some(
                OpenFlags::WRITE
                    .with(OpenFlags::CREATE)
                    .with(OpenFlags::TRUNCATE)
            )
        );
        assert_eq!(Whence::from_number(3), None);
    }

    #[test]
    fn a_directory_entry_in_bytes_has_its_fields_where_they_are_in_memory() {
        let bytes = Dirent::new(b"hello", FileKind::Directory, 0x1122)
            .unwrap()
            .to_bytes();
        assert_eq!(
            bytes[core::mem::offset_of!(Dirent, len)..][..8],
            0x1122_u64.to_ne_bytes()
        );
        assert_eq!(
            bytes[core::mem::offset_of!(Dirent, kind)..][..4],
            2_u32.to_ne_bytes()
        );
        assert_eq!(
            bytes[core::mem::offset_of!(Dirent, name_len)..][..4],
            5_u32.to_ne_bytes()
        );
        assert_eq!(
            &bytes[core::mem::offset_of!(Dirent, name)..][..6],
            b"hello\0"
        );
    }

    #[test]
    fn a_directory_entry_keeps_the_longest_name_and_refuses_a_longer_one() {
        let longest = [b'n'; NAME_MAX];
        assert_eq!(
            Dirent::new(&longest, FileKind::File, 5).unwrap().name(),
            &longest
        );
        assert_eq!(Dirent::new(&[b'n'; NAME_MAX + 1], FileKind::File, 5), None);
    }
}
