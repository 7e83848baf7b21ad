//! Measures what the kernel's operations cost.
//!
//! `bench [ROW...] [--scale N]` prints a line `BENCH name value unit` for each row, or for those whose names are given;
//! `--scale N` measures N times fewer operations. Names, units and methods are those of the program that measures
//! Linux, so that the rows compare. Under `run-smp.sh --icount` a nanosecond is an instruction.
#![no_std]
#![no_main]

extern crate alloc;

mod forks;
mod measure;
mod memory;
mod parallel;
mod pipes;
mod spinners;
mod threads;

use alloc::vec::Vec;
use core::fmt::Write;

use ulib::{Arguments, FixedString, Signal, println, process};

ulib::program!(main);

/// What the rows need to know of the machine and the command line.
#[derive(Copy, Clone)]
struct Setting {
    /// How many CPUs there are.
    cpus: usize,
    /// By how much to divide the counts of operations.
    scale: usize,
}

/// A row: its name, what measures it, and the parameter with which.
struct Row {
    name: FixedString<32>,
    measure: fn(&str, Setting, usize),
    parameter: usize,
}

/// The rows that this machine can have, in the order in which they are measured.
fn rows(setting: Setting) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: &str, measure, parameter| {
        rows.push(Row {
            name: FixedString::from_text(name),
            measure,
            parameter,
        });
    };
    add("syscall_null", system_call, 0);
    add("signal_self", threads::signal_self, 0);
    add("fork_exit_wait", forks::fork_exit_wait, 0);
    add("fork_exit_wait_1MiB", forks::fork_exit_wait_resident, 1);
    add("fork_exit_wait_16MiB", forks::fork_exit_wait_resident, 16);
    add("fork_cow64", forks::fork_and_write, 64);
    add("spawn_exit_wait", forks::spawn_exit_wait, 0);
    add("thread_create_join", threads::create_and_join, 0);
    add("yield_switch_pair", yield_switch_pair, 0);
    add("pipe_pingpong_same_cpu", pipes::pingpong, 0);
    if setting.cpus > 1 {
        add("pipe_pingpong_cross_cpu", pipes::pingpong, 1);
    }
    add("pipe_bandwidth", pipes::bandwidth, 0);
    add("page_fault_anon", memory::page_faults, 1024);
    add("map_touch_unmap", memory::map_touch_unmap, 0);
    for remote in 0..setting.cpus.min(8) {
        let mut add = |row: &str, measure| {
            let name = numbered(row, remote, "remote");
            add(name.as_str(), measure, remote);
        };
        add("protect_page_", memory::protect_page);
        add("unmap_page_", memory::unmap_page);
        add("unmap_64pages_", memory::unmap_64_pages);
    }
    let mut processes = 1;
    while processes <= 2 * setting.cpus && processes <= 64 {
        let mut add = |row: &str, measure| {
            let name = numbered(row, processes, "");
            add(name.as_str(), measure, processes);
        };
        add("fork_parallel_", parallel::forks);
        add("fault_parallel_", parallel::faults);
        add("thread_parallel_", parallel::threads);
        processes *= 2;
    }
    rows
}

/// A name with a number in it.
fn numbered(before: &str, number: usize, after: &str) -> FixedString<32> {
    let mut name = FixedString::new();
    // It fits: the numbers have two digits at most.
    let _ = write!(name, "{before}{number}{after}");
    name
}

fn main(arguments: Arguments) -> i32 {
    let setting = Setting {
        cpus: process::cpu_count(),
        scale: arguments.option("--scale", 1).max(1),
    };
    let rows = rows(setting);
    let scale_at = arguments
        .iter()
        .position(|word| word == "--scale")
        .unwrap_or(arguments.len());
    let is_name =
        |position: usize| position != 0 && position != scale_at && position != scale_at + 1;
    let wanted: Vec<&str> = arguments
        .iter()
        .enumerate()
        .filter(|(position, _)| is_name(*position))
        .map(|(_, word)| word)
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !rows.iter().any(|row| row.name.as_str() == **name))
    {
        ulib::eprintln!("bench: this machine has no row {unknown}");
        return 2;
    }

    // Linux maps what lies around a page of a program when that is touched. Here a child would fault for each new page,
    // of which there are more or fewer, as the linker has placed the code.
    ulib::touch_image();
    println!("BENCH-START cpus {}", setting.cpus);
    for row in &rows {
        if wanted.is_empty() || wanted.contains(&row.name.as_str()) {
            process::pin(0);
            (row.measure)(row.name.as_str(), setting, row.parameter);
        }
    }
    println!("BENCH-END");
    0
}

fn system_call(name: &str, setting: Setting, _: usize) {
    measure::best(name, 20_000 / setting.scale, || {
        process::getppid();
    });
}

/// Two processes on one CPU that take turns.
fn yield_switch_pair(name: &str, setting: Setting, _: usize) {
    let other = measure::start(|| {
        loop {
            process::yield_now();
        }
    });
    measure::best(name, 4000 / setting.scale, process::yield_now);
    if let Err(errno) = process::kill(other, Signal::SIGKILL) {
        panic!("cannot kill {other}: {errno}");
    }
    measure::wait(other);
}
