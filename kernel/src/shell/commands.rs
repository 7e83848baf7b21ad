//! The commands of the kernel shell.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use abi::{Errno, ExitStatus};
use proc::process::Process;
use proc::table::Entry;
use proc::thread::Thread;
use proc::wait_pid::{Which, wait_for_child};
use proc::{sched, spawn, table};

use crate::device::input::{self, Foreground};
use crate::device::{console, power};

/// A command.
pub(super) struct Command {
    pub(super) name: &'static str,
    arguments: &'static str,
    help: &'static str,
    pub(super) run: fn(&Arc<Process>, &str) -> ControlFlow<i32>,
}

pub(super) const COMMANDS: [Command; 10] = [
    Command {
        name: "help",
        arguments: "",
        help: "this list",
        run: help,
    },
    Command {
        name: "ls",
        arguments: "[PATH]",
        help: "files in a directory",
        run: ls,
    },
    Command {
        name: "cat",
        arguments: "FILE",
        help: "contents of a file",
        run: cat,
    },
    Command {
        name: "run",
        arguments: "PROGRAM [ARG...]",
        help: "runs a program and waits for it",
        run,
    },
    Command {
        name: "ps",
        arguments: "",
        help: "processes",
        run: ps,
    },
    Command {
        name: "cpus",
        arguments: "",
        help: "CPUs and what they run",
        run: cpus,
    },
    Command {
        name: "mem",
        arguments: "",
        help: "what memory is used for",
        run: mem,
    },
    Command {
        name: "shell",
        arguments: "",
        help: "another kernel shell",
        run: shell,
    },
    Command {
        name: "exit",
        arguments: "",
        help: "leaves this shell, if it is not the first",
        run: exit,
    },
    Command {
        name: "poweroff",
        arguments: "",
        help: "ends the machine",
        run: poweroff,
    },
];

/// The commands' names, for completion.
pub(super) fn names() -> [&'static str; COMMANDS.len()] {
    COMMANDS.each_ref().map(|command| command.name)
}

macro_rules! say {
    ($($argument:tt)*) => { console::message(format_args!("{}\n", format_args!($($argument)*))) };
}

/// What all commands but the last two come to.
const GO_ON: ControlFlow<i32> = ControlFlow::Continue(());

fn help(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    for command in &COMMANDS {
        say!(
            "{:9} {:17} {}",
            command.name,
            command.arguments,
            command.help
        );
    }
    GO_ON
}

fn ls(_: &Arc<Process>, path: &str) -> ControlFlow<i32> {
    let path = if path.is_empty() { "/" } else { path };
    if let Err(error) = list(path) {
        say!("ls: {path}: {error}");
    }
    GO_ON
}

fn list(path: &str) -> Result<(), Errno> {
    proc::file::for_each_entry(path.as_bytes(), |name, is_directory, len_bytes| {
        let name = core::str::from_utf8(name).unwrap_or("?");
        say!(
            "{len_bytes:>10} {name}{}",
            if is_directory { "/" } else { "" }
        );
    })
}

fn cat(_: &Arc<Process>, path: &str) -> ControlFlow<i32> {
    if let Err(error) = show(path) {
        say!("cat: {path}: {error}");
    }
    GO_ON
}

fn show(path: &str) -> Result<(), Errno> {
    let file = proc::file::find_regular(path.as_bytes())?;
    let mut buffer = [0; 512];
    let mut offset = 0;
    loop {
        let len = file.read_at(offset, &mut buffer);
        if len == 0 {
            return Ok(());
        }
        console::write(&buffer[..len]);
        offset += len as u64;
    }
}

fn run(process: &Arc<Process>, line: &str) -> ControlFlow<i32> {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    if name.is_empty() {
        say!("run: which program?");
        return GO_ON;
    }
    match run_program(process, name, arguments) {
        Ok(status) if status == ExitStatus::exited(0) => {}
        Ok(status) => say!("{name}: {status}"),
        Err(error) => say!("{name}: {error}"),
    }
    GO_ON
}

/// Runs a program in the foreground.
fn run_program(process: &Arc<Process>, name: &str, arguments: &str) -> Result<ExitStatus, Errno> {
    let child = sched::current();
    let child = spawn::spawn(&child, name.as_bytes(), arguments.as_bytes())?;
    input::set_foreground(Foreground::Program(child));
    let reaped = wait_for_child(process, Which::Id(child));
    input::set_foreground(Foreground::KernelShell);
    Ok(reaped?.status)
}

fn shell(process: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    let inner = spawn::spawn_kernel_process("shell", Some(process), super::run);
    if let Err(error) = inner.and_then(|id| wait_for_child(process, Which::Id(id))) {
        say!("shell: {error}");
    }
    GO_ON
}

fn exit(process: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    if process.parent_id() == 0 {
        say!("exit: this is the first shell; `poweroff` ends the machine");
        return GO_ON;
    }
    ControlFlow::Break(0)
}

fn poweroff(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    power::off(&protocol::Line::<&str>::Exit(0))
}

fn ps(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>6} {:>6} {:9} {:>3} {:>9} {:>9}  NAME",
        "PID",
        "PARENT",
        "STATE",
        "CPU",
        "USER ms",
        "KERNEL ms"
    );
    table::for_each(|_, entry| match entry {
        Entry::Thread(thread) => say_thread(&thread),
        Entry::Ended(process) => {
            say!(
                "{:>6} {:>6} {:9} {:>3} {:>9} {:>9}  {}",
                process.id(),
                process.parent_id(),
                "ended",
                "",
                "",
                "",
                process.name()
            );
        }
        Entry::Free | Entry::Reserved => {}
    });
    GO_ON
}

fn say_thread(thread: &Thread) {
    let Some(process) = thread.process() else {
        return;
    };
    let (user_ns, kernel_ns) = thread.times_ns();
    let (user_ms, kernel_ms) = (user_ns / 1_000_000, kernel_ns / 1_000_000);
    let (id, parent, cpu) = (thread.id(), process.parent_id(), thread.cpu_racy().index());
    let state = thread.state_racy();
    say!(
        "{id:>6} {parent:>6} {state:9} {cpu:>3} {user_ms:>9} {kernel_ms:>9}  {}",
        process.name()
    );
}

fn cpus(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>3} {:>7} {:6} {:>5}  RUNS",
        "CPU",
        "APIC ID",
        "MODE",
        "QUEUE"
    );
    let mode = crate::boot::cpus::mode_name(smp::apic::mode());
    for cpu in smp::cpu_set::CpuSet::all().iter() {
        let apic_id = smp::percpu::block_of(cpu).map_or(0, |block| block.apic_id());
        let (index, queue) = (cpu.index(), sched::queue_len_racy(cpu));
        match table_thread_on(cpu) {
            Some(thread) => {
                let name = thread.process().map(|process| *process.name());
                say!(
                    "{index:>3} {apic_id:>7} {mode:6} {queue:>5}  {} {}",
                    thread.id(),
                    name.as_ref().map_or("", |name| name.as_str())
                );
            }
            None => say!("{index:>3} {apic_id:>7} {mode:6} {queue:>5}  idle"),
        }
    }
    GO_ON
}

/// The thread that runs on `cpu`.
fn table_thread_on(cpu: smp::cpu::CpuId) -> Option<Arc<Thread>> {
    let mut found = None;
    table::for_each(|_, entry| {
        if let Entry::Thread(thread) = entry
            && thread.cpu_racy() == cpu
            && thread.is_running_racy()
        {
            found = Some(thread);
        }
    });
    found
}

fn mem(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    let accounts = crate::accounts::read();
    let rows = [
        ("total", accounts.total_frames),
        ("free", accounts.free_frames),
        ("pooled", accounts.pooled_frames),
        ("kernel", accounts.kernel_frames),
        ("kernel stacks", accounts.kernel_stack_frames),
        ("page tables", accounts.page_table_frames),
        ("anonymous", accounts.anonymous_frames),
        ("files", accounts.file_frames),
        ("pipes", accounts.pipe_frames),
    ];
    for (name, frames) in rows {
        say!("{name:14} {frames:>9} frames {:>9} KiB", frames * 4);
    }
    say!("{:14} {:>9} bytes", "heap", accounts.heap_bytes);
    say!(
        "{:14} {:>9} of {}",
        "table entries",
        accounts.table_entries,
        accounts.table_capacity
    );
    GO_ON
}
