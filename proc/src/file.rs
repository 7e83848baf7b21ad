//! Files: a tree of them in memory, what programs have open, and the numbers by which programs name it.
//!
//! From the outside in: a process has [`Descriptors`], numbers for [`OpenFile`]s. An open file is a way into an object,
//! with an offset and rights of its own, and may have several numbers in several processes. The object is a
//! [`RegularFile`] or a [`Directory`] of the tree, the console ([`Console`]), or an end of a [pipe](crate::pipe). The
//! [tree](FileTree) begins as the contents of an [archive](read_archive) and takes what programs write.
//!
//! No copy to or from user memory happens under a spin lock: a copy may fault, and a fault may sleep.

mod archive;
pub(crate) mod buffer;
mod console;
mod descriptors;
mod open_file;
mod pages;
mod path;
mod regular;
#[cfg(test)]
mod tests;
mod tree;

use alloc::sync::Arc;

use abi::{Errno, FileKind};

use crate::sched::pending;
use crate::wait::Interrupted;

pub use self::archive::{ArchiveError, read_archive};
pub use self::buffer::{ReadBuffer, WriteBuffer};
pub use self::console::{Console, LineQueue, QueueFull, install_console};
pub use self::descriptors::{Descriptors, MAX_DESCRIPTORS};
pub use self::open_file::OpenFile;
pub use self::path::{Path, Step};
pub use self::regular::{MAX_FILE_BYTES, RegularFile, WriteFrom, Written};
pub use self::tree::{Created, Directory, FileTree, Node, install, installed};

/// A named point of long transfers, between two pages: threads whose turn it is run here, and devices are served. No
/// spin lock is held.
///
/// # Errors
/// [`Interrupted`] if the thread is to take a signal or to end: the rest of the transfer can wait. It is found at the
/// next tick.
#[inline]
pub fn pause_point() -> Result<(), Interrupted> {
    if !pending::any(&smp::pin::pin()) {
        return Ok(());
    }
    pending::serve();
    if crate::sched::current().is_interrupted() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}

/// What `path` names in the installed tree.
///
/// # Errors
/// `ENOENT`, `ENOTDIR` or `ENAMETOOLONG`.
pub fn find(path: &[u8]) -> Result<Node, Errno> {
    installed().ok_or(Errno::ENOENT)?.lookup(Path::parse(path)?)
}

/// The file at `path` in the installed tree.
///
/// # Errors
/// As [`find`]; `EISDIR` if it is a directory.
pub fn find_regular(path: &[u8]) -> Result<Arc<RegularFile>, Errno> {
    match find(path)? {
        Node::File(file) => Ok(file),
        Node::Directory(_) => Err(Errno::EISDIR),
    }
}

/// Calls `visit` with the name of each entry of the directory at `path` in the installed tree, whether that is a
/// directory, and its length.
///
/// # Errors
/// As [`find`]; `ENOTDIR` if it is a file.
pub fn for_each_entry(path: &[u8], mut visit: impl FnMut(&[u8], bool, u64)) -> Result<(), Errno> {
    let Node::Directory(directory) = find(path)? else {
        return Err(Errno::ENOTDIR);
    };
    let mut position = 0;
    while let Some(entry) = directory.entry(position) {
        visit(
            entry.name(),
            entry.kind == FileKind::Directory as u32,
            entry.len,
        );
        position += 1;
    }
    Ok(())
}
