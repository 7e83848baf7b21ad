//! An open file: a way into a file, with rights and an offset that everybody who has it shares.
//!
//! A thread has the offset to itself for the whole of a read or write: two that use the same open file do
//! not get the same bytes, nor leave a gap. The console and pipes have no offset, and nobody waits for one there.

use alloc::sync::Arc;

use abi::{Dirent, Errno, OpenFlags, Whence};
use mm::heap::try_arc;
use mm::space::{PageSource, ReadOnlySource, Sharing};

use super::buffer::{ReadBuffer, Source, WriteBuffer};
use super::console;
use super::regular::{RegularFile, WriteFrom};
use super::tree::{Created, Directory, FileTree, Node};
use crate::pipe::{PipeReader, PipeWriter};
use crate::sync::{AtomicU64, Ordering};
use crate::turn::{Turn, TurnGuard};
use crate::wait::Interrupted;

/// What can be open.
pub(crate) enum Object {
    File(Arc<RegularFile>),
    Directory(Arc<Directory>),
    Console,
    PipeReader(PipeReader),
    PipeWriter(PipeWriter),
}

/// An open file.
pub struct OpenFile {
    object: Object,
    flags: OpenFlags,
    /// Bytes from the start of a file; entries from the start of a directory; always 0 for anything else.
    offset: Offset,
}

/// A number for one thread at a time.
struct Offset {
    turn: Turn,
    /// Read and written by who has the turn.
    value: AtomicU64,
}

/// The right to an [`Offset`].
struct OffsetGuard<'a> {
    value: &'a AtomicU64,
    _turn: TurnGuard<'a>,
}

impl Offset {
    fn take(&self) -> Result<OffsetGuard<'_>, Interrupted> {
        Ok(self.guard(self.turn.take()?))
    }

    /// Waits for a read or a write of somebody else's to end, whatever signals come.
    fn take_uninterrupted(&self) -> OffsetGuard<'_> {
        self.guard(self.turn.take_uninterrupted())
    }

    fn guard<'a>(&'a self, turn: TurnGuard<'a>) -> OffsetGuard<'a> {
        OffsetGuard {
            value: &self.value,
            _turn: turn,
        }
    }
}

impl OffsetGuard<'_> {
    // Relaxed, both: the turn orders them.

    fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    fn set(&self, offset: u64) {
        self.value.store(offset, Ordering::Relaxed);
    }
}

impl OpenFile {
    /// Whether it is the reading end of a pipe.
    pub(crate) fn is_pipe_reader(&self) -> bool {
        matches!(self.object, Object::PipeReader(_))
    }

    pub(crate) fn new(object: Object, flags: OpenFlags) -> OpenFile {
        OpenFile {
            object,
            flags,
            offset: Offset {
                turn: Turn::new(),
                value: AtomicU64::new(0),
            },
        }
    }

    /// Opens what `path` names in `tree`, made if the flags ask for it, but does not cut it yet.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ENAMETOOLONG` or `ENOMEM`; `EEXIST` if it must not exist; `EISDIR` if it is a directory
    /// and shall be written or made; `EINVAL` if it is to be cut but not written.
    pub(super) fn open(
        tree: &FileTree,
        path: &[u8],
        flags: OpenFlags,
    ) -> Result<Arc<OpenFile>, Errno> {
        if flags.contains(OpenFlags::TRUNCATE) && !flags.writable() {
            return Err(Errno::EINVAL);
        }
        let path = super::Path::parse(path)?;
        let node = if !flags.contains(OpenFlags::CREATE) {
            tree.lookup(path)?
        } else {
            let open_new = |file| try_arc(OpenFile::new(Object::File(file), flags));
            match tree.create(path, open_new)? {
                Created::New(file) => return Ok(file),
                Created::Existing(_) if flags.contains(OpenFlags::EXCLUSIVE) => {
                    return Err(Errno::EEXIST);
                }
                Created::Existing(node) => node,
            }
        };
        let object = match node {
            Node::File(file) => Object::File(file),
            Node::Directory(_) if flags.writable() || flags.contains(OpenFlags::CREATE) => {
                return Err(Errno::EISDIR);
            }
            Node::Directory(directory) => Object::Directory(directory),
        };
        Ok(try_arc(OpenFile::new(object, flags))?)
    }

    /// Cuts the file, if it was opened with that flag.
    pub(super) fn truncate_as_asked(&self) {
        if let Object::File(file) = &self.object
            && self.flags.contains(OpenFlags::TRUNCATE)
        {
            file.truncate();
        }
    }

    /// Reads at the offset, and advances it. Returns how many bytes were read.
    ///
    /// # Errors
    /// `EBADF` if it is not open for reading; `EISDIR`; `EFAULT` if not even the first byte could be stored; `EINTR` if
    /// a signal or its end interrupts the caller while it waits; `ENODEV` if there is no console.
    #[inline]
    pub fn read(&self, mut buffer: ReadBuffer<'_>) -> Result<usize, Errno> {
        if !self.flags.readable() {
            return Err(Errno::EBADF);
        }
        match &self.object {
            Object::PipeReader(pipe) => pipe.read(&mut buffer),
            Object::File(file) => {
                let offset = self.offset.take()?;
                let len = file.read(offset.get(), &mut buffer)?;
                offset.set(offset.get().saturating_add(len as u64));
                Ok(len)
            }
            Object::Console => console::read(&mut buffer),
            Object::Directory(_) => Err(Errno::EISDIR),
            Object::PipeWriter(_) => Err(Errno::EBADF),
        }
    }

    /// Writes at the offset, or at the file's end if it was opened so, and advances the offset behind it. Returns how
    /// many bytes were written: less than there are only if an error came after the first.
    ///
    /// # Errors
    /// `EBADF` if it is not open for writing; `EFAULT` if the first byte cannot be read; `EPIPE`; `EFBIG`; `ENOSPC` or
    /// `ENOMEM`; `EINTR` if a signal or its end interrupts the caller while it waits; `ENODEV` if there is no console.
    #[inline]
    pub fn write(&self, mut buffer: WriteBuffer<'_>) -> Result<usize, Errno> {
        if !self.flags.writable() {
            return Err(Errno::EBADF);
        }
        match &self.object {
            Object::PipeWriter(pipe) => pipe.write(&mut buffer),
            Object::File(file) => {
                let offset = self.offset.take()?;
                let at_end = self.flags.contains(OpenFlags::APPEND);
                let from = if at_end {
                    WriteFrom::End
                } else {
                    WriteFrom::Offset(offset.get())
                };
                let written = file.write(from, &mut buffer)?;
                if written.len > 0 {
                    offset.set(written.end);
                }
                Ok(written.len)
            }
            Object::Console => console::write(&mut buffer),
            Object::Directory(_) | Object::PipeReader(_) => Err(Errno::EBADF),
        }
    }

    /// Sets the offset to `distance` from the start, from where it is, or from the end. Returns it.
    ///
    /// # Errors
    /// `ESPIPE` if it has none; `EINVAL` if that is before the start; `EOVERFLOW` if it is too large.
    pub fn seek(&self, distance: i64, whence: Whence) -> Result<u64, Errno> {
        let offset = self.offset.take_uninterrupted();
        let len = match &self.object {
            Object::File(file) => file.len_bytes(),
            Object::Directory(directory) => directory.len() as u64,
            Object::Console | Object::PipeReader(_) | Object::PipeWriter(_) => {
                return Err(Errno::ESPIPE);
            }
        };
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => offset.get(),
            Whence::End => len,
        };
        let target = i128::from(base) + i128::from(distance);
        if target < 0 {
            return Err(Errno::EINVAL);
        }
        // An offset is also a number of the signed type by which programs count.
        let target = i64::try_from(target).map_err(|_| Errno::EOVERFLOW)?;
        offset.set(target.unsigned_abs());
        Ok(target.unsigned_abs())
    }

    /// The contents of a file, for a mapping. If that is shared, it may be written only if the file is open for
    /// writing.
    ///
    /// # Errors
    /// `ENODEV` if it is no regular file; `EACCES` if it is not open for reading; `ENOMEM`.
    pub fn page_source(&self, sharing: Sharing) -> Result<Arc<dyn PageSource>, Errno> {
        let Object::File(file) = &self.object else {
            return Err(Errno::ENODEV);
        };
        match sharing {
            _ if !self.flags.readable() => Err(Errno::EACCES),
            Sharing::Shared if !self.flags.writable() => {
                Ok(try_arc(ReadOnlySource::new(file.clone()))?)
            }
            Sharing::Private | Sharing::Shared => Ok(file.clone()),
        }
    }

    /// Stores the next entries of a directory, as many as there are and as fit, and advances the offset behind them.
    /// Returns how many bytes these are, a multiple of the size of [`Dirent`]; 0 at the end.
    ///
    /// # Errors
    /// `ENOTDIR`; `EINVAL` if not one entry fits; `EFAULT` if not one could be stored.
    pub fn readdir(&self, mut buffer: ReadBuffer<'_>) -> Result<usize, Errno> {
        const ENTRY_BYTES: usize = size_of::<Dirent>();
        let Object::Directory(directory) = &self.object else {
            return Err(Errno::ENOTDIR);
        };
        if buffer.len() < ENTRY_BYTES {
            return Err(Errno::EINVAL);
        }
        let offset = self.offset.take_uninterrupted();
        let mut total = 0;
        while buffer.len() >= ENTRY_BYTES
            && let Some(entry) = directory.entry(offset.get() as usize)
        {
            if buffer.put(Source::Bytes(&entry.to_bytes()), ENTRY_BYTES) < ENTRY_BYTES {
                return if total > 0 {
                    Ok(total)
                } else {
                    Err(Errno::EFAULT)
                };
            }
            total += ENTRY_BYTES;
            offset.set(offset.get() + 1);
        }
        Ok(total)
    }
}
