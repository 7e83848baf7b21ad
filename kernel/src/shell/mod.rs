//! The kernel shell: commands that look into the kernel and run programs.
//!
//! A shell is a process of the kernel, the parent of the programs that it runs, and has an address space of its own
//! ([`space`]). `shell` starts another one inside it.

mod commands;
mod line;
pub(crate) mod space;

use core::ops::ControlFlow;

use proc::process::Process;

use self::line::LineEditor;
use crate::device::console;
use crate::device::input::{self, Foreground};

/// Runs a shell until `exit`, as a thread of the kernel. Its exit status is 0, or 1 if there was no memory for it.
pub(crate) fn run() -> i32 {
    let Ok(mut editor) = LineEditor::new() else {
        return 1;
    };
    let current = proc::sched::current();
    let Some(process) = current.process() else {
        return 1;
    };
    input::set_foreground(Foreground::KernelShell);
    loop {
        console::write(b"argonaut> ");
        let Ok(line) = editor.read_line() else {
            return 0;
        };
        if let ControlFlow::Break(status) = execute(process, line.trim()) {
            return status;
        }
    }
}

/// Runs one command line.
fn execute(process: &alloc::sync::Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    if name.is_empty() {
        return ControlFlow::Continue(());
    }
    match commands::COMMANDS
        .iter()
        .find(|command| command.name == name)
    {
        Some(command) => (command.run)(process, arguments.trim_start()),
        None => {
            console::message(format_args!("{name}: no such command; `help` lists them\n"));
            ControlFlow::Continue(())
        }
    }
}
