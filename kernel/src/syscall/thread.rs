//! Threads: `create_thread`, `exit_thread`, `join_thread` and their other forms, `set_tls_base`.

use abi::{Errno, Pid, ThreadRegisters};
use mm::user::UserPtr;
use proc::registers::UserRegisters;
use proc::{create_thread, exit, join};
use smp::tls::TlsBase;

use super::Call;

/// `create_thread(function, argument, stack_top)`.
pub(super) fn create_thread(call: Call<'_>) -> Result<usize, Errno> {
    let [function, argument, stack_top, ..] = call.arguments();
    let registers = ThreadRegisters {
        rip: function as u64,
        rdi: argument as u64,
        rsp: stack_top as u64,
        ..ThreadRegisters::default()
    };
    create(call, &registers)
}

/// `create_thread_registers(registers)`.
pub(super) fn create_thread_registers(call: Call<'_>) -> Result<usize, Errno> {
    let [registers, ..] = call.arguments();
    let registers = UserPtr::<ThreadRegisters>::new(registers).read()?;
    create(call, &registers)
}

fn create(call: Call<'_>, wanted: &ThreadRegisters) -> Result<usize, Errno> {
    let registers = UserRegisters::from_user(wanted).ok_or(Errno::EINVAL)?;
    let tls_base = TlsBase::new(wanted.tls_base).ok_or(Errno::EINVAL)?;
    let thread = create_thread::create_thread(call.thread, registers, tls_base)?;
    Ok(thread as usize)
}

/// `exit_thread(value)`.
pub(super) fn exit_thread(call: Call<'_>) -> Result<usize, Errno> {
    let [value, ..] = call.arguments();
    exit::end_thread(call.thread, value);
    Ok(0)
}

/// `join_thread(tid)`.
pub(super) fn join_thread(call: Call<'_>) -> Result<usize, Errno> {
    let [tid, ..] = call.arguments();
    join::poll_join(call.thread, tid as Pid)?.ok_or(Errno::EAGAIN)
}

/// `join_thread_wait(tid, value)`, in which `value` is the place for it.
pub(super) fn join_thread_wait(call: Call<'_>) -> Result<usize, Errno> {
    let [tid, place, ..] = call.arguments();
    let unjoined = join::wait_for_end(call.thread, tid as Pid)?;
    let place = UserPtr::<usize>::new(place);
    if !place.is_null() {
        // Before the thread is forgotten, since the place may be bad.
        place.write(unjoined.value())?;
    }
    unjoined.join(call.thread)?;
    Ok(0)
}

/// `set_tls_base(address)`.
pub(super) fn set_tls_base(call: Call<'_>) -> Result<usize, Errno> {
    let [address, ..] = call.arguments();
    let base = TlsBase::new(address as u64).ok_or(Errno::EINVAL)?;
    call.thread.user().ok_or(Errno::EINVAL)?.set_tls_base(base);
    Ok(0)
}
