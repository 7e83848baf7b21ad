//! Commands that run programs in the foreground: as children of the shell, or of `init`.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use abi::{Errno, ExitStatus};
use proc::process::Process;
use proc::thread::Id;
use proc::wait_pid::{Which, wait_for_child};
use proc::{init_requests, sched, spawn};

use super::GO_ON;
use crate::device::console::say;
use crate::device::input::{self, Foreground};

pub(super) fn run(process: &Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (name, arguments) = split(line);
    if name.is_empty() {
        say!("run: which program?");
        return GO_ON;
    }
    run_named(process, name, arguments);
    GO_ON
}

/// Runs a program as a child of the shell.
pub(super) fn run_named(process: &Arc<Process>, name: &str, arguments: &str) {
    tell(name, run_as_child(process, name, arguments));
}

fn run_as_child(process: &Arc<Process>, name: &str, arguments: &str) -> Result<ExitStatus, Errno> {
    wait_in_foreground(process, start(name, arguments)?)
}

/// Starts a program as a child of the shell.
///
/// # Errors
/// Those of [`spawn::spawn`].
pub(super) fn start(name: &str, arguments: &str) -> Result<Id, Errno> {
    spawn::spawn(&sched::current(), name.as_bytes(), arguments.as_bytes())
}

/// Has `child`, which runs the program `name`, in the foreground until it ends, and says so if it ends badly.
pub(super) fn wait_for(process: &Arc<Process>, child: Id, name: &str) {
    tell(name, wait_in_foreground(process, child));
}

fn wait_in_foreground(process: &Arc<Process>, child: Id) -> Result<ExitStatus, Errno> {
    put_in_foreground(child);
    let reaped = wait_for_child(process, Which::Id(child));
    input::set_foreground(Foreground::KernelShell);
    Ok(reaped?.status)
}

/// The program that `urun` runs if it is not told another: the user shell.
const USER_SHELL: &str = "sh";

pub(super) fn urun(_: &Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (name, arguments) = match split(line) {
        ("", _) => (USER_SHELL, ""),
        command => command,
    };
    let outcome = init_requests::run(name, arguments, put_in_foreground);
    input::set_foreground(Foreground::KernelShell);
    tell(name, outcome);
    GO_ON
}

fn split(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

fn put_in_foreground(program: Id) {
    input::set_foreground(Foreground::Program(program));
}

/// Says how a program has ended, if not as one hopes.
fn tell(name: &str, outcome: Result<ExitStatus, Errno>) {
    match outcome {
        Ok(status) if status == ExitStatus::exited(0) => {}
        Ok(status) => say!("{name}: {status}"),
        Err(error) => say!("{name}: {error}"),
    }
}
