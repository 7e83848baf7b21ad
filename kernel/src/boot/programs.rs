//! The first programs: `init`, and the kernel shell or what the boot line names.

use abi::ExitStatus;
use abi::{Outcome, Signal};
use mm::flush::Strategy;
use mm::space::ForkPolicy;
use proc::common_pipe::{self, Modes};
use proc::spawn::{KernelSpace, spawn_kernel_process};
use protocol::Line;

use super::command_line::CommandLine;
use super::info::BootInfo;
use super::self_test;
use crate::device::input::{self, Foreground};
use crate::device::{console, log, power, screen};
use crate::{memory_view, shell};

/// The longest command for `init`.
const COMMAND_MAX: usize = abi::layout::ARGUMENT_MAX;

/// Unpacks the file tree and starts process 1.
///
/// Needs: the process table.
pub(crate) fn start(info: &BootInfo, command_line: &CommandLine) {
    choose_fork(command_line);
    choose_shootdown(command_line);
    choose_pipe(command_line);
    if command_line.is_first_of("warp", ["on", "off"]) {
        proc::spawn::warp::set_on();
    }
    mount(info.initrd);
    proc::kernel_program::install(&crate::kernel_programs::PROGRAMS);
    let program = command_line.value("run");
    let mut command = [0; COMMAND_MAX];
    let len = write_command(
        &mut command,
        program.unwrap_or(""),
        command_line.arguments(),
    );
    // Process 1 first: its id is the first one.
    if let Err(error) = proc::spawn::spawn_init(b"init", &command[..len], power_off_as_init) {
        panic!("cannot start init: {error}");
    }
    start_kernel_process("screen", screen::keep_up_to_date);
    if memory_view::is_asked_for(command_line) {
        start_kernel_process("memview", memory_view::show_on_screen);
    }
    self_test::start(command_line);
    if program.is_some() {
        input::set_foreground(Foreground::ChildrenOfInit);
    } else {
        console::message(format_args!(
            "Argonaut on {} CPUs. `help` lists the commands.\n",
            smp::cpu::count()
        ));
        start_shell();
    }
}

fn start_shell() {
    let started = shell::space::create(shell::space::USUAL).and_then(|space| {
        let space = KernelSpace::Given(space);
        Ok(spawn_kernel_process("shell", None, space, run_first_shell)?)
    });
    if let Err(error) = started {
        panic!("cannot start the shell: {error}");
    }
}

/// The prompt comes when nothing else runs: what the shell shows is then always the same.
fn run_first_shell() -> i32 {
    if let Err(error) = proc::init_requests::wait_until_ready() {
        panic!("init is not ready: {error}");
    }
    shell::run()
}

fn start_kernel_process(name: &str, function: fn() -> i32) {
    if let Err(error) = spawn_kernel_process(name, None, KernelSpace::Parents, function) {
        panic!("cannot start {name}: {error}");
    }
}

/// Chooses how `fork` copies memory, unless a break switch already has.
fn choose_fork(command_line: &CommandLine) {
    let name = command_line.value("fork").unwrap_or("shared");
    let Some(policy) = ForkPolicy::from_name(name) else {
        panic!("boot line: fork={name} is neither shared nor cow nor eager nor naive")
    };
    proc::fork::set_policy(policy);
}

/// Chooses how CPUs are told what was unmapped, unless a break switch already has.
fn choose_shootdown(command_line: &CommandLine) {
    let strategy = match command_line.value("shootdown") {
        None | Some("targeted") => Strategy::Targeted,
        Some("broadcast") => Strategy::Broadcast,
        Some("deferred") => Strategy::Deferred,
        Some(other) => {
            panic!("boot line: shootdown={other} is neither targeted nor broadcast nor deferred")
        }
    };
    assert!(
        mm::flush::set_strategy(strategy).is_ok(),
        "no memory for {strategy:?} shootdowns"
    );
}

/// Chooses what `piperead` and `pipewrite` do without.
fn choose_pipe(command_line: &CommandLine) {
    let mut modes = Modes::default();
    for word in command_line.values("pipe").flat_map(|it| it.split(',')) {
        match word {
            "noblock" => modes.is_blocking = false,
            "nobatch" => modes.is_batching = false,
            "noschedule" => modes.is_scheduling = false,
            _ => panic!("boot line: pipe={word} is neither noblock nor nobatch nor noschedule"),
        }
    }
    common_pipe::install(modes);
}

fn mount(initrd: Option<&'static [u8]>) {
    let tree = match initrd.map(proc::file::read_archive) {
        Some(Ok(tree)) => tree,
        Some(Err(error)) => panic!("the initial file tree: {error}"),
        None => panic!("there is no initial file tree (QEMU's -initrd)"),
    };
    proc::file::install(tree);
}

/// Puts the program's name and its arguments into one string.
fn write_command(command: &mut [u8], name: &str, arguments: &str) -> usize {
    let blank = if arguments.is_empty() { "" } else { " " };
    let bytes = name.bytes().chain(blank.bytes()).chain(arguments.bytes());
    command
        .iter_mut()
        .zip(bytes)
        .map(|(place, byte)| *place = byte)
        .count()
}

/// Says that the first user instruction is about to run; called by process 1.
pub(crate) fn report_booted() {
    log::write_protocol_line(&Line::<&str>::Booted {
        cpus: smp::cpu::count() as u32,
        microseconds: smp::time::now_ns() / 1000,
    });
}

/// The machine ends with process 1.
fn power_off_as_init(status: ExitStatus) -> ! {
    let line: Line<&str> = match status.outcome() {
        Outcome::Exited(code) => Line::Exit(code),
        Outcome::Killed(signal) => Line::Killed(signal_number(signal)),
    };
    screen::refresh();
    power::off(&line)
}

fn signal_number(signal: Signal) -> u8 {
    signal.number() as u8
}
