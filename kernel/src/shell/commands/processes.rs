//! Commands about processes, threads and CPUs.

use alloc::sync::Arc;
use core::ops::ControlFlow;

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
    table::for_each(|id, entry| match entry {
        Entry::Thread(thread) => {
            if let Some(process) = thread.process()
                && process.id() == id
            {
                say_thread(&thread, process, process.parent_id());
            }
        }
        Entry::Process(process) => {
            let (parent, name) = (process.parent_id(), process.name());
            let state = if process.has_ended() {
                "ended"
            } else {
                "alive"
            };
            say!(
                "{id:>6} {parent:>6} {state:9} {:>3} {:>6} {:>9} {:>9}  {name}",
                "",
                "",
                "",
                ""
            );
        }
        Entry::Free | Entry::Reserved => {}
    });
    GO_ON
}

/// A line for a thread: what it does, where, and for how long. `second` is what stands behind its id.
fn say_thread(thread: &Thread, process: &Process, second: Id) {
    let (user_ns, kernel_ns) = thread.times_ns();
    let (user_ms, kernel_ms) = (user_ns / 1_000_000, kernel_ns / 1_000_000);
    let (id, cpu, name) = (thread.id(), thread.cpu_racy().index(), process.name());
    let (state, space) = (thread.state_racy(), thread.space().as_dyn().id());
    say!("{id:>6} {second:>6} {state:9} {cpu:>3} {space:>6} {user_ms:>9} {kernel_ms:>9}  {name}");
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
    table::for_each(|id, entry| match entry {
        Entry::Thread(thread) => {
            if let Some(process) = thread.process() {
                say_thread(&thread, process, process.id());
            }
        }
        Entry::Process(process) => {
            let (state, name) = ("process", process.name());
            say!(
                "{id:>6} {id:>6} {state:9} {:>3} {:>6} {:>9} {:>9}  {name}",
                "",
                "",
                "",
                ""
            );
        }
        Entry::Free | Entry::Reserved => {}
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
        match table_thread_on(cpu) {
            Some(thread) => {
                let name = thread.process().map(|process| *process.name());
                let space = thread.space().as_dyn().id();
                say!(
                    "{index:>3} {apic_id:>7} {mode:6} {queue:>5} {space:>6}  {} {}",
                    thread.id(),
                    name.as_ref().map_or("", |name| name.as_str())
                );
            }
            None => say!(
                "{index:>3} {apic_id:>7} {mode:6} {queue:>5} {:>6}  idle",
                ""
            ),
        }
    }
    GO_ON
}

/// The thread that runs on `cpu`.
fn table_thread_on(cpu: CpuId) -> Option<Arc<Thread>> {
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
