//! The table of a process's descriptors: small numbers for open files.
//!
//! The lock is held to look up, add or take out a number, never while a file is read or written: an operation keeps the
//! open file alive by itself, even if its number is closed meanwhile. So closing a number never waits, and what was the
//! last name of an open file closes that when the operations on it are over.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, OpenFlags, Whence};
use mm::NoMemory;
use mm::heap::try_arc;
use smp::lock::SpinLock;
use smp::rank;

use super::buffer::{ReadBuffer, WriteBuffer};
use super::open_file::{Object, OpenFile};
use super::tree::FileTree;
use crate::pipe::new_pipe;

/// The most descriptors that a process can have.
pub const MAX_DESCRIPTORS: usize = 1024;

/// How many descriptors a spawned process gets from its parent: standard input, output and error output.
const STANDARD_DESCRIPTORS: usize = 3;

/// The descriptors of a process.
pub struct Descriptors {
    table: SpinLock<Table, rank::Descriptors>,
}

/// Open files by number. No longer than [`MAX_DESCRIPTORS`].
#[derive(Default)]
struct Table(Vec<Option<Arc<OpenFile>>>);

impl Default for Descriptors {
    fn default() -> Descriptors {
        Descriptors::new()
    }
}

impl Descriptors {
    /// Without any.
    pub const fn new() -> Descriptors {
        Descriptors {
            table: SpinLock::new(Table(Vec::new())),
        }
    }

    /// With the console as standard input, output and error output.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn with_console() -> Result<Descriptors, NoMemory> {
        let console = try_arc(OpenFile::new(Object::Console, OpenFlags::READ_WRITE))?;
        Descriptors::from_files(core::iter::repeat_n(Some(console), STANDARD_DESCRIPTORS))
    }

    /// A copy for a forked process: the same numbers for the same open files, offsets shared.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn fork(&self) -> Result<Descriptors, NoMemory> {
        Descriptors::from_files(self.table.lock().0.iter().cloned())
    }

    /// What a spawned process gets: as [`Descriptors::fork`], but 0, 1 and 2 only.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn inherit_standard(&self) -> Result<Descriptors, NoMemory> {
        Descriptors::from_files(
            self.table
                .lock()
                .0
                .iter()
                .take(STANDARD_DESCRIPTORS)
                .cloned(),
        )
    }

    /// As [`Descriptors::inherit_standard`], without reading ends of pipes, for who does not read them: a pipe that only
    /// he could read would keep him waiting in a write for ever.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn inherit_outputs(&self) -> Result<Descriptors, NoMemory> {
        let table = self.table.lock();
        let standard = table.0.iter().take(STANDARD_DESCRIPTORS);
        Descriptors::from_files(
            standard.map(|file| file.clone().filter(|file| !file.is_pipe_reader())),
        )
    }

    fn from_files(
        files: impl ExactSizeIterator<Item = Option<Arc<OpenFile>>>,
    ) -> Result<Descriptors, NoMemory> {
        let mut places = Vec::new();
        places
            .try_reserve_exact(files.len())
            .map_err(|_| NoMemory)?;
        places.extend(files);
        Ok(Descriptors {
            table: SpinLock::new(Table(places)),
        })
    }

    /// Closes all.
    pub fn close_all(&self) {
        let closed = core::mem::take(&mut *self.table.lock());
        // Without the lock: this may wake others and frees memory.
        drop(closed);
    }

    /// Opens what `path` names in `tree`; returns its descriptor, the lowest free one.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EISDIR`, `EEXIST`, `ENAMETOOLONG`; `EINVAL` for a path with a NUL, or flags that
    /// contradict each other; `EMFILE`; `ENOMEM`. The file has not been cut then.
    pub fn open(&self, tree: &FileTree, path: &[u8], flags: OpenFlags) -> Result<usize, Errno> {
        // Before anything is made; another thread can still take the last number meanwhile.
        self.table.lock().make_room(1)?;
        let file = OpenFile::open(tree, path, flags)?;
        let [number] = self.add([file.clone()])?;
        // Last, since it cannot fail: an error has cut nothing.
        file.truncate_as_asked();
        Ok(number)
    }

    /// Closes a descriptor. Returns 0.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&self, number: i32) -> Result<usize, Errno> {
        let closed = self.table.lock().place(number).and_then(Option::take);
        // Without the lock: this may wake others and frees memory.
        closed.map(|_file| 0).ok_or(Errno::EBADF)
    }

    /// Makes the lowest free descriptor another name for the open file `number`, and returns it.
    ///
    /// # Errors
    /// `EBADF`; `EMFILE`; `ENOMEM`.
    pub fn dup(&self, number: i32) -> Result<usize, Errno> {
        let [copy] = self.add([self.file(number)?])?;
        Ok(copy)
    }

    /// Reads into `buffer`; returns how many bytes.
    ///
    /// # Errors
    /// `EBADF`, and those of [`OpenFile::read`].
    pub fn read(&self, number: i32, buffer: ReadBuffer<'_>) -> Result<usize, Errno> {
        self.file(number)?.read(buffer)
    }

    /// Writes `buffer`; returns how many bytes.
    ///
    /// # Errors
    /// `EBADF`, and those of [`OpenFile::write`].
    pub fn write(&self, number: i32, buffer: WriteBuffer<'_>) -> Result<usize, Errno> {
        self.file(number)?.write(buffer)
    }

    /// Sets the offset; returns it. `whence` is a [`Whence`] as a number.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` for a bad `whence`; and those of [`OpenFile::seek`].
    pub fn seek(&self, number: i32, distance: i64, whence: u32) -> Result<usize, Errno> {
        let file = self.file(number)?;
        let offset = file.seek(distance, Whence::from_number(whence).ok_or(Errno::EINVAL)?)?;
        Ok(offset as usize)
    }

    /// Stores the next directory entries; returns how many bytes.
    ///
    /// # Errors
    /// `EBADF`, and those of [`OpenFile::readdir`].
    pub fn readdir(&self, number: i32, buffer: ReadBuffer<'_>) -> Result<usize, Errno> {
        self.file(number)?.readdir(buffer)
    }

    /// Makes a pipe and hands the descriptors of its reading and writing end to `store`. Returns 0.
    ///
    /// # Errors
    /// `EMFILE`; `ENOMEM`; what `store` returns. There is no new descriptor then.
    pub fn pipe(&self, store: impl FnOnce([i32; 2]) -> Result<(), Errno>) -> Result<usize, Errno> {
        let (reader, writer) = new_pipe()?;
        let files = [
            try_arc(OpenFile::new(Object::PipeReader(reader), OpenFlags::READ))?,
            try_arc(OpenFile::new(Object::PipeWriter(writer), OpenFlags::WRITE))?,
        ];
        let numbers = self.add(files.clone())?;
        // No descriptor exceeds `MAX_DESCRIPTORS`.
        let stored = store(numbers.map(|number| number as i32));
        if stored.is_err() {
            for (number, file) in numbers.into_iter().zip(&files) {
                self.take_back(number, file);
            }
        }
        stored.map(|()| 0)
    }

    /// The open file of a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file(&self, number: i32) -> Result<Arc<OpenFile>, Errno> {
        self.table
            .lock()
            .place(number)
            .and_then(|place| place.clone())
            .ok_or(Errno::EBADF)
    }

    /// Gives each of `files` the lowest free number, or none of them any.
    fn add<const N: usize>(&self, files: [Arc<OpenFile>; N]) -> Result<[usize; N], Errno> {
        let mut table = self.table.lock();
        table.make_room(N)?;
        Ok(files.map(|file| table.add(file)))
    }

    /// Closes `number` if it still is `file`: another thread may have closed it, and opened something else.
    fn take_back(&self, number: usize, file: &Arc<OpenFile>) {
        let is_same = |place: &&mut Option<Arc<OpenFile>>| {
            place.as_ref().is_some_and(|now| Arc::ptr_eq(now, file))
        };
        let closed = self
            .table
            .lock()
            .0
            .get_mut(number)
            .filter(is_same)
            .and_then(Option::take);
        // Without the lock, as in `close`.
        drop(closed);
    }
}

impl Table {
    fn place(&mut self, number: i32) -> Option<&mut Option<Arc<OpenFile>>> {
        self.0.get_mut(usize::try_from(number).ok()?)
    }

    /// Sees to it that `add` can be called `count` times.
    fn make_room(&mut self, count: usize) -> Result<(), Errno> {
        let free = self
            .0
            .iter()
            .filter(|place| place.is_none())
            .take(count)
            .count();
        let missing = count - free;
        if missing > MAX_DESCRIPTORS - self.0.len() {
            return Err(Errno::EMFILE);
        }
        self.0.try_reserve(missing).map_err(|_| Errno::ENOMEM)
    }

    /// Puts `file` at the lowest free number, for which there is room.
    fn add(&mut self, file: Arc<OpenFile>) -> usize {
        match self.0.iter().position(Option::is_none) {
            Some(number) => {
                self.0[number] = Some(file);
                number
            }
            None => {
                self.0.push(Some(file));
                self.0.len() - 1
            }
        }
    }
}
