//! Processes: starting, ending and waiting for them, and where they run.

use core::fmt::{Display, Write};

use abi::arguments::Quoted;
use abi::layout::ARGUMENT_MAX;
use abi::{Errno, ExitStatus, PATH_MAX, Pid, Signal, SysInfo, WAIT_ANY, WaitFlags, decode};

use crate::c_string::CString;
use crate::system_call;
use crate::{CpuMask, FixedString};

/// The exit code of a program whose assertion failed.
pub const PANIC_EXIT_CODE: i32 = 101;

/// Which of the two processes `fork` has returned to.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Fork {
    /// The new one.
    Child,
    /// The old one; the new one has this id.
    Parent(Pid),
}

/// Copies the calling process, but of its threads only the one that calls this. It returns twice, once to each.
///
/// That is safe: each process has memory of its own from here on. What lies outside of it is shared: an open file and
/// its offset belong to both, and each closes its own descriptor. In the child, what other threads had locked stays
/// locked.
///
/// # Errors
/// Those of the system call `fork`.
#[inline]
pub fn fork() -> Result<Fork, Errno> {
    // SAFETY: the call changes nothing in the caller's memory, and the child's is its own.
    match decode(while_quiet(|| unsafe { system_call::fork() }))? {
        0 => {
            be_alone();
            Ok(Fork::Child)
        }
        child => Ok(Fork::Parent(child as Pid)),
    }
}

#[cfg(not(test))]
use crate::thread::{be_alone, while_quiet};

/// Stands in for the threads that a host test does not have.
#[cfg(test)]
fn while_quiet<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// As [`while_quiet`].
#[cfg(test)]
fn be_alone() {}

/// Starts a child, a copy of the calling process, that runs `body` and exits with what it returns.
///
/// # Errors
/// Those of the system call `fork`.
pub fn start(body: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    match fork()? {
        Fork::Child => exit(body()),
        Fork::Parent(child) => Ok(child),
    }
}

/// Starts the program `name`, with its name as only argument.
///
/// # Errors
/// Those of the system call `spawn`.
pub fn spawn(name: &str) -> Result<Pid, Errno> {
    let name = CString::<{ PATH_MAX + 1 }>::new(name, Errno::ENAMETOOLONG)?;
    // SAFETY: the kernel only reads, from a string with its NUL.
    decode(unsafe { system_call::spawn(name.as_ptr()) }).map(|pid| pid as Pid)
}

/// Starts the program `name` with arguments in one string, as `abi::arguments` splits it.
///
/// # Errors
/// Those of the system call `spawn_with`.
pub fn spawn_with(name: &str, argument: &str) -> Result<Pid, Errno> {
    let name = CString::<{ PATH_MAX + 1 }>::new(name, Errno::ENAMETOOLONG)?;
    let argument = CString::<{ ARGUMENT_MAX + 1 }>::new(argument, Errno::E2BIG)?;
    // SAFETY: the kernel only reads, from strings with their NULs.
    decode(unsafe { system_call::spawn_with(name.as_ptr(), argument.as_ptr()) })
        .map(|pid| pid as Pid)
}

/// Starts the program `name` with `words` as its arguments.
///
/// # Errors
/// Those of the system call `spawn_with`.
pub fn spawn_words(
    name: &str,
    words: impl IntoIterator<Item = impl Display>,
) -> Result<Pid, Errno> {
    let mut line = FixedString::<ARGUMENT_MAX>::new();
    for word in words {
        let mut text = FixedString::<ARGUMENT_MAX>::new();
        let blank = if line.as_str().is_empty() { "" } else { " " };
        write!(text, "{word}")
            .and_then(|()| write!(line, "{blank}{}", Quoted(text.as_str())))
            .map_err(|_| Errno::E2BIG)?;
    }
    spawn_with(name, line.as_str())
}

/// Ends this process.
#[inline]
pub fn exit(code: i32) -> ! {
    // SAFETY: nothing of the program is left to be broken.
    unsafe { system_call::exit(code) };
    unreachable!("exit has returned")
}

/// Gives up: the kernel logs `message` and ends this process with `SIGABRT`.
pub fn abort(message: &str) -> ! {
    let message = CString::<256>::new(message, Errno::E2BIG);
    let message = message
        .as_ref()
        .map_or(c"(no message)".as_ptr().cast(), CString::as_ptr);
    // SAFETY: nothing of the program is left to be broken.
    unsafe { system_call::panic(message) };
    unreachable!("panic has returned")
}

/// Waits until the child `child` has ended.
///
/// # Errors
/// Those of the system call `waitpid`.
pub fn wait(child: Pid) -> Result<ExitStatus, Errno> {
    wait_raw(child, WaitFlags::empty()).map(|(_, status)| status)
}

/// Waits until any child has ended.
///
/// # Errors
/// Those of the system call `waitpid`.
pub fn wait_any() -> Result<(Pid, ExitStatus), Errno> {
    wait_raw(WAIT_ANY, WaitFlags::empty())
}

/// Takes note of the end of the child `child` (or [`WAIT_ANY`]) if it has ended.
///
/// # Errors
/// Those of the system call `waitpid`.
pub fn try_wait(child: Pid) -> Result<Option<(Pid, ExitStatus)>, Errno> {
    let (pid, status) = wait_raw(child, WaitFlags::WNOHANG)?;
    Ok((pid != 0).then_some((pid, status)))
}

fn wait_raw(child: Pid, flags: WaitFlags) -> Result<(Pid, ExitStatus), Errno> {
    let mut status = 0;
    // SAFETY: the kernel writes one number, for which there is room.
    let pid = decode(unsafe { system_call::waitpid(child, &raw mut status, flags.bits()) })?;
    Ok((pid as Pid, ExitStatus::from_raw(status).ok_or(Errno::EIO)?))
}

/// Sends `signal` to the process `pid`.
///
/// # Errors
/// Those of the system call `kill`.
pub fn kill(pid: Pid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of this program, unless it ends it.
    decode(unsafe { system_call::kill(pid, signal.number()) }).map(drop)
}

/// Whether there is a process or a thread with this id that has not ended.
pub fn is_there(id: Pid) -> bool {
    // SAFETY: signal 0 does nothing.
    decode(unsafe { system_call::kill(id, 0) }) != Err(Errno::ESRCH)
}

/// This process's id.
#[inline(always)]
pub fn getpid() -> Pid {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::getpid() as Pid }
}

/// The id of this process's parent.
#[inline(always)]
pub fn getppid() -> Pid {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::getppid() as Pid }
}

/// This thread's id.
pub fn gettid() -> Pid {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::gettid() as Pid }
}

/// Lets others run.
#[inline(always)]
pub fn yield_now() {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::r#yield() };
}

/// Sleeps for at least `duration_ms` milliseconds, or until interrupted.
pub fn sleep_ms(duration_ms: u64) {
    // SAFETY: the call touches no memory. Its only error is the interruption.
    unsafe { system_call::sleep_ms(duration_ms) };
}

/// Nanoseconds since boot.
#[inline]
pub fn clock_ns() -> u64 {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::clock_ns() as u64 }
}

/// The CPU on which this was called.
#[inline(always)]
pub fn getcpu() -> usize {
    // SAFETY: the call touches no memory. It has no errors.
    unsafe { system_call::getcpu() as usize }
}

/// Restricts the thread `tid` (0: this one) to `cpus`.
///
/// # Errors
/// Those of the system call `set_affinity`.
pub fn set_affinity(tid: Pid, cpus: &CpuMask) -> Result<(), Errno> {
    let bytes = cpus.as_bytes();
    // SAFETY: the kernel only reads the mask.
    decode(unsafe { system_call::set_affinity(tid, bytes.as_ptr(), bytes.len()) }).map(drop)
}

/// The CPUs on which the thread `tid` (0: this one) may run.
///
/// # Errors
/// Those of the system call `get_affinity`.
pub fn get_affinity(tid: Pid) -> Result<CpuMask, Errno> {
    let mut mask = CpuMask::EMPTY;
    let bytes = mask.as_bytes_mut();
    // SAFETY: the kernel writes at most the mask's own length into it.
    decode(unsafe { system_call::get_affinity(tid, bytes.as_mut_ptr(), bytes.len()) })?;
    Ok(mask)
}

/// Restricts this thread to one CPU.
///
/// # Panics
/// If there is no such CPU.
pub fn pin(cpu: usize) {
    if let Err(errno) = set_affinity(0, &CpuMask::single(cpu)) {
        panic!("cannot run on CPU {cpu}: {errno}");
    }
}

/// The kernel's accounts.
pub fn sysinfo() -> SysInfo {
    let mut info = SysInfo::default();
    // SAFETY: the kernel writes at most the structure's own length into it, and any bytes make a `SysInfo`.
    unsafe { system_call::sysinfo(&raw mut info, size_of::<SysInfo>()) };
    info
}

/// How many CPUs the machine has.
pub fn cpu_count() -> usize {
    sysinfo().cpus as usize
}
