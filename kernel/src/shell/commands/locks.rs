//! How the kernel's locks are used.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use proc::process::Process;
use smp::lock;

use super::GO_ON;
use crate::device::console::say;

/// A row for each rank of which a lock was taken since the counts began. With the word `reset` they begin again.
pub(super) fn locks(_: &Arc<Process>, arguments: &str) -> ControlFlow<i32> {
    if !lock::are_statistics_kept() {
        say!("locks: nothing is counted; boot with locks=on");
        return GO_ON;
    }
    match arguments.trim() {
        "" => table(),
        "reset" => lock::reset_statistics(),
        _ => say!("usage: locks [reset]"),
    }
    GO_ON
}

fn table() {
    say!(
        "{:>5} {:14} {:>12} {:>9} {:>12}",
        "LEVEL",
        "RANK",
        "ACQUISITIONS",
        "CONTENDED",
        "SPINS"
    );
    for (rank, counts) in lock::statistics() {
        if counts.acquisitions != 0 {
            say!(
                "{:>5} {:14} {:>12} {:>9} {:>12}",
                rank.level,
                rank.name,
                counts.acquisitions,
                counts.contended,
                counts.spins
            );
        }
    }
}
