//! Commands about processes, threads and CPUs.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use mm::flush::SpaceId;
use proc::name::Name;
use proc::process::Process;
use proc::sched;
use proc::table::{self, Entry};
use proc::thread::{Id, Thread};
use smp::CpuId;

use super::GO_ON;
use crate::device::console::say;

pub(super) fn ps(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>6} {:>6} {:9} {:>3} {:>6} {:>9} {:>9}  NAME",
        "PID",
        "PARENT",
        "STATE",
        "CPU",
        "SPACE",
        "USER ms",
        "KERNEL ms"
    );
    table::for_each(|id, entry| {
        let row = match entry {
            Entry::Thread(thread) => {
                let process = thread.process();
                let first = process.filter(|process| process.id() == id);
                first.map(|process| Row::of_thread(&thread, process, process.parent_id()))
            }
            Entry::Process(process) => {
                let state = if process.has_ended() {
                    "ended"
                } else {
                    "alive"
                };
                Some(Row::of_process(&process, process.parent_id(), state))
            }
            Entry::Free | Entry::Reserved => None,
        };
        say_row(row);
    });
    GO_ON
}

/// A line of a list. It holds what it shows and no reference: printing may take a while, and who buries a thread or
/// process waits for references to it (EXIT-1).
struct Row {
    id: Id,
    /// What stands behind the id.
    second: Id,
    state: &'static str,
    /// Of a thread that has not ended.
    run: Option<Run>,
    name: Name,
}

/// Where a thread runs, and for how long it has.
struct Run {
    cpu: CpuId,
    space: SpaceId,
    user_ms: u64,
    kernel_ms: u64,
}

impl Row {
    fn of_thread(thread: &Thread, process: &Process, second: Id) -> Row {
        let (user_ns, kernel_ns) = thread.times_ns();
        Row {
            id: thread.id(),
            second,
            state: thread.state_racy(),
            run: Some(Run {
                cpu: thread.cpu_racy(),
                space: thread.space().as_dyn().id(),
                user_ms: user_ns / 1_000_000,
                kernel_ms: kernel_ns / 1_000_000,
            }),
            name: *process.name(),
        }
    }

    fn of_process(process: &Process, second: Id, state: &'static str) -> Row {
        Row {
            id: process.id(),
            second,
            state,
            run: None,
            name: *process.name(),
        }
    }
}

fn say_row(row: Option<Row>) {
    let Some(row) = row else {
        return;
    };
    let Row {
        id,
        second,
        state,
        name,
        ..
    } = row;
    match row.run {
        Some(run) => say!(
            "{id:>6} {second:>6} {state:9} {:>3} {:>6} {:>9} {:>9}  {name}",
            run.cpu.index(),
            run.space,
            run.user_ms,
            run.kernel_ms
        ),
        None => say!(
            "{id:>6} {second:>6} {state:9} {:>3} {:>6} {:>9} {:>9}  {name}",
            "",
            "",
            "",
            ""
        ),
    }
}

pub(super) fn threads(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>6} {:>6} {:9} {:>3} {:>6} {:>9} {:>9}  NAME",
        "TID",
        "PID",
        "STATE",
        "CPU",
        "SPACE",
        "USER ms",
        "KERNEL ms"
    );
    table::for_each(|_, entry| {
        let row = match entry {
            Entry::Thread(thread) => {
                let process = thread.process();
                process.map(|process| Row::of_thread(&thread, process, process.id()))
            }
            Entry::Process(process) => Some(Row::of_process(&process, process.id(), "process")),
            Entry::Free | Entry::Reserved => None,
        };
        say_row(row);
    });
    GO_ON
}

pub(super) fn cpus(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>3} {:>7} {:6} {:>5} {:>6}  RUNS",
        "CPU",
        "APIC ID",
        "MODE",
        "QUEUE",
        "SPACE"
    );
    let mode = crate::boot::cpus::mode_name(smp::apic::mode());
    for cpu in smp::cpu_set::CpuSet::all().iter() {
        let apic_id = smp::percpu::block_of(cpu).map_or(0, |block| block.apic_id());
        let (index, queue) = (cpu.index(), sched::queue_len_racy(cpu));
        match row_of_thread_on(cpu) {
            Some(Row {
                id,
                name,
                run: Some(run),
                ..
            }) => say!(
                "{index:>3} {apic_id:>7} {mode:6} {queue:>5} {:>6}  {id} {name}",
                run.space
            ),
            _ => say!(
                "{index:>3} {apic_id:>7} {mode:6} {queue:>5} {:>6}  idle",
                ""
            ),
        }
    }
    GO_ON
}

/// What there is to say of the thread that runs on `cpu`.
fn row_of_thread_on(cpu: CpuId) -> Option<Row> {
    let mut found = None;
    table::for_each(|_, entry| {
        if let Entry::Thread(thread) = entry
            && thread.cpu_racy() == cpu
            && thread.is_running_racy()
            && let Some(process) = thread.process()
        {
            found = Some(Row::of_thread(&thread, process, process.id()));
        }
    });
    found
}
