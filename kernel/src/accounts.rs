//! The kernel's accounts, as `sysinfo` and the shell report them.

use abi::SysInfo;
use mm::frame::{self, FrameKind};
use mm::stack;
use proc::table;

/// The accounts now; exact on a quiet machine.
pub(crate) fn read() -> SysInfo {
    // What waits for other CPUs is free.
    mm::flush::limbo::drain(mm::flush::Kernel);
    let frames = frame::accounts();
    let in_use = |kind| frames.in_use(kind) as u64;
    let stacks = stack::accounts();
    let pooled_stacks = stacks.pooled_frames as u64;
    let stack_tables = stacks.table_frames as u64;
    let heap = mm::heap::accounts();
    let mut shootdowns = mm::flush::Counters::default();
    mm::flush::counters().for_each(|(_, counters)| shootdowns += counters);
    SysInfo {
        cpus: smp::cpu::count() as u64,
        uptime_ns: smp::time::now_ns(),
        total_frames: frames.total as u64,
        free_frames: frames.free as u64,
        pooled_frames: pooled_stacks + stack_tables + heap.pool_frames as u64,
        kernel_frames: in_use(FrameKind::Kernel) + frames.reserved as u64,
        kernel_heap_frames: heap.large_frames as u64,
        kernel_stack_frames: in_use(FrameKind::KernelStack).saturating_sub(pooled_stacks),
        page_table_frames: in_use(FrameKind::PageTable).saturating_sub(stack_tables),
        anonymous_frames: in_use(FrameKind::Anonymous),
        file_frames: in_use(FrameKind::File),
        pipe_frames: in_use(FrameKind::Pipe),
        other_frames: 0,
        heap_bytes: heap.bytes_in_use as u64,
        table_entries: u64::from(table::used()),
        table_capacity: table::capacity() as u64,
        shootdowns_sent: shootdowns.sent,
        shootdown_targets: shootdowns.targets,
        shootdowns_avoided: shootdowns.avoided,
    }
}
