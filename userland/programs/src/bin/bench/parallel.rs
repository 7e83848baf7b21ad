//! Rows about processes that all do the same at once and share nothing: with more CPUs each should be as quick as
//! before.

extern crate alloc;

use alloc::vec::Vec;

use ulib::process;

use crate::Setting;
use crate::measure::{fork_and_wait, row, start, wait};
use crate::memory::map_and_touch;
use crate::threads::create_and_join_once;

/// Pages that a process of [`faults`] maps at a time.
const PAGES: usize = 64;

/// So many processes that all fork.
pub(crate) fn forks(name: &str, setting: Setting, processes: usize) {
    let count = 200 / setting.scale + 1;
    let duration_s = in_parallel(setting, processes, count, fork_and_wait);
    row(name, (processes * count) as f64 / duration_s, "forks/s");
}

/// So many processes that all map memory, touch it and unmap it.
pub(crate) fn faults(name: &str, setting: Setting, processes: usize) {
    let count = 100 / setting.scale + 1;
    let duration_s = in_parallel(setting, processes, count, || map_and_touch(PAGES));
    let faults = processes * count * PAGES;
    row(name, faults as f64 / duration_s, "faults/s");
}

/// So many processes that all start threads and join them.
pub(crate) fn threads(name: &str, setting: Setting, processes: usize) {
    let count = 200 / setting.scale + 1;
    let duration_s = in_parallel(setting, processes, count, create_and_join_once);
    row(name, (processes * count) as f64 / duration_s, "threads/s");
}

/// Lets so many processes, spread over the CPUs, do `operation` so many times each; returns how long all took, in
/// seconds.
fn in_parallel(setting: Setting, processes: usize, count: usize, operation: fn()) -> f64 {
    let mut children = Vec::with_capacity(processes);
    let start_ns = process::clock_ns();
    for number in 0..processes {
        children.push(start(|| {
            process::pin(number % setting.cpus);
            (0..count).for_each(|_| operation());
            0
        }));
    }
    children.into_iter().for_each(wait);
    (process::clock_ns() - start_ns) as f64 / 1e9
}
