//! Programs of the kernel that help: one that chooses how `fork` works, and one that measures in the kernel.

use abi::STDOUT;
use ulib::{Errno, ExitStatus, file, process};

/// What `unitcosts` prints is not longer.
const OUTPUT_MAX: usize = 512;

/// Has all forks from now on copy memory by this policy.
///
/// # Errors
/// Those of `spawn_with`; `EIO` if the program fails.
pub(crate) fn choose(policy: &str) -> Result<(), Errno> {
    let child = process::spawn_with("forkpolicy", policy)?;
    check(process::wait(child)?)
}

/// Hands what `unitcosts` prints to `read`.
///
/// # Errors
/// Those of `pipe` and `spawn`; `EIO` if the program fails.
pub(crate) fn unit_costs<T>(read: impl FnOnce(&str) -> Result<T, Errno>) -> Result<T, Errno> {
    let (reader, writer) = file::pipe()?;
    let child = process::start(|| match run_into(&writer) {
        Ok(status) => i32::from(status.shell_code()),
        Err(_) => 1,
    })?;
    drop(writer);
    let mut output = [0; OUTPUT_MAX];
    let len = reader.read_full(&mut output)?;
    check(process::wait(child)?)?;
    let text = output
        .get(..len)
        .and_then(|bytes| str::from_utf8(bytes).ok());
    read(text.ok_or(Errno::EIO)?)
}

/// Runs `unitcosts` with the pipe as its standard output.
fn run_into(pipe: &file::File) -> Result<ExitStatus, Errno> {
    file::close(STDOUT)?;
    let output = file::duplicate(pipe.descriptor())?;
    assert!(output.descriptor() == STDOUT, "the lowest free descriptor");
    process::wait(process::spawn("unitcosts")?)
}

fn check(status: ExitStatus) -> Result<(), Errno> {
    match status == ExitStatus::exited(0) {
        true => Ok(()),
        false => Err(Errno::EIO),
    }
}
