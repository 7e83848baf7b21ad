//! Processes and threads.

use core::cell::UnsafeCell;

use abi::{Pid, Sysno};
use ulib::failures::Plan;
use ulib::{process, thread};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("fork", fork, wait),
    Operation::new("spawn", spawn, wait),
    Operation::new("spawn_with", spawn_with_arguments, wait),
    Operation::new("spawn_with of the kernel", spawn_kernel_program, wait),
    Operation::new("create_thread", create_thread, join),
];

pub(crate) fn fork(plan: Plan) -> Attempt {
    // SAFETY: the child ends at once.
    let attempt = unsafe { Attempt::call(plan, Sysno::Fork, [0; 6]) };
    if attempt.result == Ok(0) {
        process::exit(0);
    }
    attempt
}

fn spawn(plan: Plan) -> Attempt {
    let name = c"nop".as_ptr().addr();
    // SAFETY: the kernel only reads, a string with its NUL.
    unsafe { Attempt::call(plan, Sysno::Spawn, [name, 0, 0, 0, 0, 0]) }
}

fn spawn_with_arguments(plan: Plan) -> Attempt {
    spawn_with(plan, c"nop", c"one two three")
}

fn spawn_kernel_program(plan: Plan) -> Attempt {
    spawn_with(plan, c"forkpolicy", c"boot")
}

fn spawn_with(plan: Plan, name: &core::ffi::CStr, argument: &core::ffi::CStr) -> Attempt {
    let (name, argument) = (name.as_ptr().addr(), argument.as_ptr().addr());
    // SAFETY: the kernel only reads, strings with their NULs.
    unsafe { Attempt::call(plan, Sysno::SpawnWith, [name, argument, 0, 0, 0, 0]) }
}

pub(crate) fn wait(child: usize) {
    let _ = process::wait(child as Pid);
}

/// The stack of a thread.
#[repr(align(16))]
struct Stack(UnsafeCell<[u8; 4096]>);

// SAFETY: there is one thread at a time that uses it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; 4096]));

#[unsafe(naked)]
extern "C" fn exit_at_once() -> ! {
    core::arch::naked_asm!(
        "mov eax, {exit_thread}",
        "xor edi, edi",
        "syscall",
        "ud2",
        exit_thread = const Sysno::ExitThread as usize,
    )
}

pub(crate) fn create_thread(plan: Plan) -> Attempt {
    let function = exit_at_once as *const () as usize;
    let stack_top = STACK.0.get().addr() + size_of::<Stack>() - size_of::<usize>();
    // SAFETY: the thread before has been joined, and this one does not use its stack.
    unsafe { Attempt::call(plan, Sysno::CreateThread, [function, 0, stack_top, 0, 0, 0]) }
}

pub(crate) fn join(thread: usize) {
    let _ = thread::join(thread as Pid);
}
