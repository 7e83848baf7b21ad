//! Processes: who am I, `fork`, `spawn`, `exit`, `waitpid`, `yield`.

use abi::{Errno, ExitStatus, PATH_MAX, Pid, WAIT_ANY, WaitFlags, layout};
use mm::user::{UserPtr, UserString};
use proc::registers::UserRegisters;
use proc::thread::Thread;
use proc::wait_pid::{Which, poll_end, wait_for_end};

use super::Call;

/// `getpid()`.
pub(super) fn getpid(call: Call<'_>) -> Result<usize, Errno> {
    Ok(call.process()?.id() as usize)
}

/// `getppid()`.
pub(super) fn getppid(call: Call<'_>) -> Result<usize, Errno> {
    Ok(call.process()?.parent_id() as usize)
}

/// `gettid()`.
pub(super) fn gettid(call: Call<'_>) -> Result<usize, Errno> {
    Ok(call.thread.id() as usize)
}

/// `yield()`.
pub(super) fn r#yield(_: Call<'_>) -> Result<usize, Errno> {
    proc::sched::yield_now();
    Ok(0)
}

/// `exit(status)`.
pub(super) fn exit(call: Call<'_>) -> Result<usize, Errno> {
    let [status, ..] = call.arguments();
    proc::exit::end_process(call.process()?, ExitStatus::exited(status as i32));
    Ok(0)
}

/// `fork()`.
///
/// The child begins with all registers of its parent, so this comes back when they are saved.
pub(super) fn fork(call: Call<'_>) -> Result<usize, Errno> {
    call.thread.attention.want_registers();
    Ok(0)
}

/// `fork()`, when all registers are there.
pub(super) fn fork_with_registers(
    thread: &Thread,
    registers: &UserRegisters,
) -> Result<usize, Errno> {
    let child = proc::fork::fork(thread, registers)?;
    Ok(child as usize)
}

/// `spawn(name)`.
pub(super) fn spawn(call: Call<'_>) -> Result<usize, Errno> {
    let [name, ..] = call.arguments();
    spawn_program(call, name, 0)
}

/// `spawn_with(name, argument)`.
pub(super) fn spawn_with(call: Call<'_>) -> Result<usize, Errno> {
    let [name, argument, ..] = call.arguments();
    spawn_program(call, name, argument)
}

fn spawn_program(call: Call<'_>, name: usize, argument: usize) -> Result<usize, Errno> {
    let mut name_buffer = [0; PATH_MAX + 1];
    let name = UserString::new(name)
        .copy_in(&mut name_buffer)
        .map_err(|error| error.errno(Errno::ENAMETOOLONG))?;
    let mut argument_buffer = [0; layout::ARGUMENT_MAX + 1];
    let argument = match argument {
        0 => &[],
        address => UserString::new(address)
            .copy_in(&mut argument_buffer)
            .map_err(|error| error.errno(Errno::E2BIG))?,
    };
    let child = proc::spawn::spawn(call.thread, name, argument)?;
    Ok(child as usize)
}

/// `waitpid(pid, status, flags)`.
pub(super) fn waitpid(call: Call<'_>) -> Result<usize, Errno> {
    let [pid, status, flags, ..] = call.arguments();
    let flags = WaitFlags::from_bits(flags as u32).ok_or(Errno::EINVAL)?;
    let which = match pid as Pid {
        WAIT_ANY => Which::Any,
        id if id > 0 => Which::Id(id),
        _ => return Err(Errno::EINVAL),
    };
    let status = UserPtr::<i32>::new(status);
    let parent = call.process()?;
    loop {
        let ended = if flags.contains(WaitFlags::WNOHANG) {
            match poll_end(parent, which)? {
                Some(ended) => ended,
                None => return Ok(0),
            }
        } else {
            wait_for_end(parent, which)?
        };
        if !status.is_null() {
            // Before the child is forgotten, since the place may be bad.
            status.write(ended.status().raw())?;
        }
        // If another thread has waited for it in between, this one begins anew.
        if let Some(ended) = ended.reap(parent) {
            return Ok(ended.id as usize);
        }
    }
}
