//! Files, descriptors and pipes.

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{OpenFlags, Sysno};
use ulib::failures::Plan;
use ulib::file::{self, File};
use ulib::{Errno, FixedString, process};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("pipe", pipe, |_| close_pipe()),
    Operation::new("write to a pipe", write_to_pipe, |_| {}),
    Operation::new("open", open, close),
    Operation::new("open a new file", open_new, close).leaves_something(),
    Operation::new("write to a file", write_to_file, |_| {}),
];

/// The descriptors of the last pipe.
static ENDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

fn pipe(plan: Plan) -> Attempt {
    let ends = ENDS.as_ptr().addr();
    // SAFETY: the kernel writes two numbers, for which there is room.
    unsafe { Attempt::call(plan, Sysno::Pipe, [ends, 0, 0, 0, 0, 0]) }
}

fn close_pipe() {
    for end in &ENDS {
        close(end.load(Ordering::Relaxed) as usize);
    }
}

fn close(fd: usize) {
    drop(File::from_descriptor(fd as i32));
}

/// Data to write: more than a page.
static DATA: [u8; 3 * 4096] = [b'x'; 3 * 4096];

fn write_to(plan: Plan, file: &File) -> Attempt {
    let (fd, data) = (file.descriptor() as usize, DATA.as_ptr().addr());
    // SAFETY: the kernel only reads.
    let attempt = unsafe { Attempt::call(plan, Sysno::Write, [fd, data, DATA.len(), 0, 0, 0]) };
    Attempt {
        result: attempt.result.map(|_| 0),
        ..attempt
    }
}

fn write_to_pipe(plan: Plan) -> Attempt {
    match file::pipe() {
        Ok((_reader, writer)) => write_to(plan, &writer),
        Err(errno) => Attempt::not_begun(errno),
    }
}

fn call_open(plan: Plan, path: &str, flags: OpenFlags) -> Attempt {
    let arguments = [path.as_ptr().addr(), flags.bits() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel only reads, a string with its NUL.
    unsafe { Attempt::call(plan, Sysno::Open, arguments) }
}

fn open(plan: Plan) -> Attempt {
    call_open(plan, "nop\0", OpenFlags::READ)
}

/// How many files this process has made, for their names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A name that no file has: a number for each process, and one in it.
fn new_name() -> FixedString<32> {
    let mut name = FixedString::new();
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    // The room is enough for two numbers.
    let _ = write!(name, "new-{}-{made}\0", process::clock_ns());
    name
}

fn open_new(plan: Plan) -> Attempt {
    let bits = OpenFlags::WRITE.bits() | OpenFlags::CREATE.bits() | OpenFlags::EXCLUSIVE.bits();
    match OpenFlags::from_bits(bits) {
        Some(flags) => call_open(plan, new_name().as_str(), flags),
        None => Attempt::not_begun(Errno::EINVAL),
    }
}

/// The file that is written to.
const DATA_FILE: &str = "failalloc-data";

/// Makes what stays: the file, and room for a pipe in this process's table of descriptors.
pub(crate) fn prepare() -> Result<(), Errno> {
    file::pipe()?;
    open_to_write(DATA_FILE, OpenFlags::CREATE).map(drop)
}

/// Writes into the empty file, and empties it again.
fn write_to_file(plan: Plan) -> Attempt {
    let attempt = match open_to_write(DATA_FILE, OpenFlags::CREATE) {
        Ok(file) => write_to(plan, &file),
        Err(errno) => return Attempt::not_begun(errno),
    };
    match open_to_write(DATA_FILE, OpenFlags::TRUNCATE) {
        Ok(_emptied) => attempt,
        Err(errno) => Attempt::not_begun(errno),
    }
}

fn open_to_write(path: &str, flags: OpenFlags) -> Result<File, Errno> {
    let bits = OpenFlags::WRITE.bits() | flags.bits();
    File::open(path, OpenFlags::from_bits(bits).ok_or(Errno::EINVAL)?)
}
