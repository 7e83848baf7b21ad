//! The commands of the kernel shell, one file a family.

mod files;
mod geometry;
mod locks;
mod memory;
mod memory_view;
mod processes;
mod programs;
mod session;
mod spaces;
mod tests;

use alloc::sync::Arc;
use core::ops::ControlFlow;

use proc::process::Process;
use proc::table;
use proc::thread::Id;

use crate::device::console::say;

/// A command.
pub(super) struct Command {
    pub(super) name: &'static str,
    arguments: &'static str,
    help: &'static str,
    pub(super) run: Run,
}

/// What a command does, given the shell's process and the rest of the line. It breaks with the shell's exit status.
type Run = fn(&Arc<Process>, &str) -> ControlFlow<i32>;

const fn command(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: Run,
) -> Command {
    Command {
        name,
        arguments,
        help,
        run,
    }
}

pub(super) const COMMANDS: [Command; 24] = [
    command("help", "", "this list", session::help),
    command("ls", "[PATH]", "files in a directory", files::ls),
    command("cat", "FILE", "contents of a file", files::cat),
    command(
        "run",
        "PROGRAM [ARG...]",
        "runs a program and waits for it",
        programs::run,
    ),
    command(
        "urun",
        "[PROGRAM [ARG...]]",
        "has init run a program, the user shell `sh` if none is named",
        programs::urun,
    ),
    command("ps", "", "processes", processes::ps),
    command("threads", "", "threads", processes::threads),
    command("cpus", "", "CPUs and what they run", processes::cpus),
    command("mem", "", "what memory is used for", memory::mem),
    command(
        "memview",
        "[PROGRAM ARG...]",
        "a live picture of memory and CPUs, until a key is pressed",
        memory_view::memview,
    ),
    command(
        "shootdowns",
        "",
        "what each CPU has done so that none uses what was unmapped",
        memory::shootdowns,
    ),
    command(
        "locks",
        "[reset]",
        "how often locks were taken and waited for, by rank",
        locks::locks,
    ),
    command(
        "geometry",
        "",
        "the shape of this machine's page tables",
        geometry::geometry,
    ),
    command("asis", "", "kinds of address spaces", spaces::asis),
    command("ases", "", "address spaces", spaces::ases),
    command(
        "regions",
        "PID",
        "the regions of a process's address space",
        spaces::regions,
    ),
    command(
        "walk",
        "PID ADDRESS",
        "the page-table entries on the way to an address",
        spaces::walk,
    ),
    command(
        "mappings",
        "[PID]",
        "where the kernel and a program begin, and who may go there",
        spaces::mappings,
    ),
    command(
        "pagingtest",
        "",
        "tries out what address spaces promise",
        tests::pagingtest,
    ),
    command(
        "selftest",
        "[WORD]",
        "the kernel's tests of itself, those with WORD in their names",
        tests::selftest,
    ),
    command(
        "shell",
        "[KIND]",
        "another kernel shell, in a new address space",
        session::shell,
    ),
    command(
        "exit",
        "",
        "leaves this shell, if it is not the first",
        session::exit,
    ),
    command("reboot", "", "boots the machine again", session::reboot),
    command("poweroff", "", "ends the machine", session::poweroff),
];

/// The commands' names, for completion.
pub(super) fn names() -> [&'static str; COMMANDS.len()] {
    COMMANDS.each_ref().map(|command| command.name)
}

/// What all commands but those that end a shell or the machine come to.
const GO_ON: ControlFlow<i32> = ControlFlow::Continue(());

/// The process that `word` names by its id. If there is none, says so for `command`.
fn process_named(command: &str, word: &str) -> Option<Arc<Process>> {
    let process = word.parse::<Id>().ok().and_then(table::find_process);
    if process.is_none() {
        say!("{command}: {word}: no such process; `ps` lists them");
    }
    process
}
