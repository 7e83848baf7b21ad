//! Things that the boot line can ask for so that tests see them happen (`test=`, `plant=`).

use proc::sched;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use smp::cpu::{self, CpuId};
use smp::cpu_set::CpuSet;

use super::command_line::CommandLine;
use crate::plants;

/// How long the other CPUs run programs before the panic.
const BEFORE_PANIC_NS: u64 = 300_000_000;

/// Starts what the boot line asks for.
///
/// Needs: the process table.
pub(crate) fn start(command_line: &CommandLine) {
    if let Some(name) = command_line.value("plant") {
        plants::plant(name);
    }
    match command_line.value("test") {
        None => {}
        Some("panic") => {
            if let Err(error) =
                spawn_kernel_process("panic", None, KernelSpace::Parents, panic_elsewhere)
            {
                panic!("cannot start the process that panics: {error}");
            }
        }
        Some(other) => panic!("boot line: test={other} is not known"),
    }
}

/// Panics on CPU 1, or on CPU 0 where there is no other.
fn panic_elsewhere() -> i32 {
    let current = sched::current();
    let cpu = CpuId::new(1.min(cpu::count() - 1));
    let moved = proc::affinity::set_affinity(&current, 0, &CpuSet::single(cpu));
    let slept = proc::sleep::sleep_ns(BEFORE_PANIC_NS);
    panic!("test=panic on the boot line asks for it ({moved:?}, {slept:?})");
}
