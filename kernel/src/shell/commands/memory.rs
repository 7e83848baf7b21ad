//! Commands about memory as a whole.

use alloc::sync::Arc;
use core::fmt::Display;
use core::ops::ControlFlow;

use mm::flush::{self, Counters};
use proc::process::Process;

use super::GO_ON;
use crate::device::console::say;

pub(super) fn mem(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
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

/// A row for each CPU, and their sum.
pub(super) fn shootdowns(_: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    say!(
        "{:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "CPU",
        "SENT",
        "TARGETS",
        "AVOIDED",
        "SERVED",
        "PAGES",
        "ALL",
        "WAIT us"
    );
    let mut sum = Counters::default();
    for (cpu, counters) in flush::counters() {
        say_counters(&cpu.index(), &counters);
        sum += counters;
    }
    say_counters(&"all", &sum);
    GO_ON
}

fn say_counters(name: &dyn Display, counters: &Counters) {
    say!(
        "{name:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        counters.sent,
        counters.targets,
        counters.avoided,
        counters.served,
        counters.pages,
        counters.full_flushes,
        counters.wait_ns / 1000
    );
}
