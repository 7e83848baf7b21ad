//! Commands about the shell itself.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use proc::process::Process;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use proc::wait_pid::{Which, wait_for_child};

use super::{COMMANDS, GO_ON};
use crate::device::console::say;
use crate::device::power;
use crate::shell::{self, space};

pub(super) fn help(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    for command in &COMMANDS {
        say!(
            "{:10} {:18} {}",
            command.name,
            command.arguments,
            command.help
        );
    }
    GO_ON
}

pub(super) fn shell(process: &Arc<Process>, kind: &str) -> ControlFlow<i32> {
    if let Err(error) = run_shell(process, kind) {
        say!("shell: {error}");
    }
    GO_ON
}

/// Runs another shell, in a space of the implementation `kind`.
fn run_shell(process: &Arc<Process>, kind: &str) -> Result<(), space::Error> {
    let space = KernelSpace::Given(space::create(kind)?);
    let inner = spawn_kernel_process("shell", Some(process), space, shell::run)?;
    wait_for_child(process, Which::Id(inner))?;
    Ok(())
}

pub(super) fn exit(process: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    if process.parent_id() == 0 {
        say!("exit: this is the first shell; `poweroff` ends the machine");
        return GO_ON;
    }
    ControlFlow::Break(0)
}

pub(super) fn reboot(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    power::reboot()
}

pub(super) fn poweroff(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    power::off(&protocol::Line::<&str>::Exit(0))
}
