//! Files, directories and pipes.

use core::mem::ManuallyDrop;

use abi::{Dirent, Errno, OpenFlags, PATH_MAX, Whence, decode};

use crate::c_string::CString;
use crate::system_call;

/// An open file, closed when dropped.
#[derive(Debug)]
pub struct File {
    fd: i32,
}

impl File {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Those of the system call `open`.
    pub fn open(path: &str, flags: OpenFlags) -> Result<File, Errno> {
        let path = CString::<{ PATH_MAX + 1 }>::new(path, Errno::ENAMETOOLONG)?;
        // SAFETY: the kernel only reads, from a string with its NUL.
        let fd = decode(unsafe { system_call::open(path.as_ptr(), flags.bits()) })?;
        Ok(File::from_descriptor(fd as i32))
    }

    /// Takes over the descriptor `fd`.
    pub const fn from_descriptor(fd: i32) -> File {
        File { fd }
    }

    /// Gives the descriptor away without closing it.
    pub fn into_descriptor(self) -> i32 {
        ManuallyDrop::new(self).fd
    }

    /// The descriptor.
    pub const fn descriptor(&self) -> i32 {
        self.fd
    }

    /// Reads what there is, at most `buffer.len()` bytes; 0 bytes are the end of the file.
    ///
    /// # Errors
    /// Those of the system call `read`.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        read(self.fd, buffer)
    }

    /// Reads until `buffer` is full or the file ends; returns how much it read.
    ///
    /// # Errors
    /// Those of the system call `read`; what has been read by then is in the buffer, but it is not said how much.
    pub fn read_full(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest @ [_, ..]) = buffer.get_mut(done..) {
            match read(self.fd, rest)? {
                0 => break,
                len => done += len,
            }
        }
        Ok(done)
    }

    /// Writes from `buffer`; returns how much it wrote.
    ///
    /// # Errors
    /// Those of the system call `write`.
    pub fn write(&self, buffer: &[u8]) -> Result<usize, Errno> {
        write(self.fd, buffer)
    }

    /// Writes all of `buffer`.
    ///
    /// # Errors
    /// Those of the system call `write`; part of the buffer may then have been written.
    pub fn write_all(&self, buffer: &[u8]) -> Result<(), Errno> {
        write_all(self.fd, buffer)
    }

    /// Moves the offset; returns where it then is.
    ///
    /// # Errors
    /// Those of the system call `seek`.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64, Errno> {
        // SAFETY: the call touches no memory.
        decode(unsafe { system_call::seek(self.fd, offset, whence as u32) })
            .map(|offset| offset as u64)
    }

    /// Another descriptor for the same open file, with a shared offset.
    ///
    /// # Errors
    /// Those of the system call `dup`.
    pub fn duplicate(&self) -> Result<File, Errno> {
        duplicate(self.fd)
    }

    /// Reads the next directory entries into `entries`; returns how many. 0 entries are the end.
    ///
    /// # Errors
    /// Those of the system call `readdir`.
    pub fn read_directory(&self, entries: &mut [Dirent]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most `entries`' own length into them, and any bytes make a `Dirent`.
        let len = decode(unsafe {
            system_call::readdir(self.fd, entries.as_mut_ptr(), size_of_val(entries))
        })?;
        Ok(len / size_of::<Dirent>())
    }

    /// Closes the file, and says whether it could be.
    ///
    /// # Errors
    /// Those of the system call `close`.
    pub fn close(self) -> Result<(), Errno> {
        close(self.into_descriptor())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A descriptor that somebody else has closed is closed.
        let _ = close(self.fd);
    }
}

/// Makes a pipe; returns its reading and its writing end.
///
/// # Errors
/// Those of the system call `pipe`.
pub fn pipe() -> Result<(File, File), Errno> {
    let mut fds = [-1; 2];
    // SAFETY: the kernel writes two numbers, for which there is room.
    decode(unsafe { system_call::pipe(fds.as_mut_ptr()) })?;
    let [reader, writer] = fds.map(File::from_descriptor);
    Ok((reader, writer))
}

/// Reads from descriptor `fd`.
///
/// # Errors
/// Those of the system call `read`.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's own length into it.
    decode(unsafe { system_call::read(fd, buffer.as_mut_ptr(), buffer.len()) })
}

/// Writes to descriptor `fd`.
///
/// # Errors
/// Those of the system call `write`.
pub fn write(fd: i32, buffer: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads.
    decode(unsafe { system_call::write(fd, buffer.as_ptr(), buffer.len()) })
}

/// Writes all of `buffer` to descriptor `fd`.
///
/// # Errors
/// Those of the system call `write`; `EIO` if the file takes nothing more.
pub fn write_all(fd: i32, buffer: &[u8]) -> Result<(), Errno> {
    let mut rest = buffer;
    while !rest.is_empty() {
        match write(fd, rest)? {
            0 => return Err(Errno::EIO),
            len => rest = rest.get(len..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Another descriptor for the open file `fd`.
///
/// # Errors
/// Those of the system call `dup`.
pub fn duplicate(fd: i32) -> Result<File, Errno> {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::dup(fd) }).map(|fd| File::from_descriptor(fd as i32))
}

/// Closes descriptor `fd`.
///
/// # Errors
/// Those of the system call `close`.
pub fn close(fd: i32) -> Result<(), Errno> {
    // SAFETY: the call touches no memory.
    decode(unsafe { system_call::close(fd) }).map(drop)
}
