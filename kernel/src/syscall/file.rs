//! Files: `open close read write seek dup readdir pipe`.

use abi::{Errno, OpenFlags, PATH_MAX};
use mm::user::{UserPtr, UserSlice, UserString};
use proc::file::{self, ReadBuffer, WriteBuffer};

use super::Call;

/// `open(path, flags)`.
pub(super) fn open(call: Call<'_>) -> Result<usize, Errno> {
    let [path, flags, ..] = call.arguments();
    let mut buffer = [0; PATH_MAX + 1];
    let path = UserString::new(path)
        .copy_in(&mut buffer)
        .map_err(|error| error.errno(Errno::ENAMETOOLONG))?;
    let flags = OpenFlags::from_bits(flags as u32).ok_or(Errno::EINVAL)?;
    let tree = file::installed().ok_or(Errno::ENOENT)?;
    call.process()?.descriptors.open(tree, path, flags)
}

/// `close(fd)`.
pub(super) fn close(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, ..] = call.arguments();
    call.process()?.descriptors.close(fd as i32)
}

/// `read(fd, buffer, len)`.
pub(super) fn read(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, buffer, len, ..] = call.arguments();
    let buffer = UserSlice::new(buffer, len)?;
    call.process()?
        .descriptors
        .read(fd as i32, ReadBuffer::User(buffer))
}

/// `write(fd, buffer, len)`.
pub(super) fn write(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, buffer, len, ..] = call.arguments();
    let buffer = UserSlice::new(buffer, len)?;
    call.process()?
        .descriptors
        .write(fd as i32, WriteBuffer::User(buffer))
}

/// `seek(fd, offset, whence)`.
pub(super) fn seek(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, offset, whence, ..] = call.arguments();
    call.process()?
        .descriptors
        .seek(fd as i32, offset as i64, whence as u32)
}

/// `dup(fd)`.
pub(super) fn dup(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, ..] = call.arguments();
    call.process()?.descriptors.dup(fd as i32)
}

/// `readdir(fd, entries, len)`.
pub(super) fn readdir(call: Call<'_>) -> Result<usize, Errno> {
    let [fd, entries, len, ..] = call.arguments();
    let entries = UserSlice::new(entries, len)?;
    call.process()?
        .descriptors
        .readdir(fd as i32, ReadBuffer::User(entries))
}

/// `pipe(fds)`.
pub(super) fn pipe(call: Call<'_>) -> Result<usize, Errno> {
    let [fds, ..] = call.arguments();
    let fds = UserPtr::<[i32; 2]>::new(fds);
    call.process()?
        .descriptors
        .pipe(|numbers| Ok(fds.write(numbers)?))
}
