//! Rows about making processes.

use core::hint::black_box;

use abi::layout::PAGE_SIZE;
use ulib::memory::Area;
use ulib::{Pid, system_call};

use crate::Setting;
use crate::measure::{best, fork_and_wait, start, wait};

const PAGES_PER_MIB: usize = (1 << 20) / PAGE_SIZE;

pub(crate) fn fork_exit_wait(name: &str, setting: Setting, _: usize) {
    best(name, 300 / setting.scale, fork_and_wait);
}

/// The same, with so many MiB of memory that have been written to.
pub(crate) fn fork_exit_wait_resident(name: &str, setting: Setting, mebibytes: usize) {
    let count = if mebibytes == 1 { 150 } else { 40 };
    with_resident_memory(mebibytes, |_| {
        best(name, count / setting.scale + 1, fork_and_wait)
    });
}

/// Forks a child that writes into so many of 256 pages: each is copied then.
pub(crate) fn fork_and_write(name: &str, setting: Setting, pages: usize) {
    with_resident_memory(1, |area| {
        best(name, 100 / setting.scale + 1, || {
            wait(start(|| {
                for page in 0..pages {
                    black_box(area.page(page))[0] = 2;
                }
                0
            }));
        });
    });
}

/// Runs `body` in a process of its own, since memory stays until its process ends.
fn with_resident_memory(mebibytes: usize, body: impl FnOnce(&mut Area)) {
    wait(start(|| {
        let mut area = Area::new();
        if let Err(errno) = area.grow(mebibytes * PAGES_PER_MIB) {
            panic!("no {mebibytes} MiB: {errno}");
        }
        area.words().fill(0x0101_0101_0101_0101);
        body(&mut area);
        0
    }));
}

/// Starts a program that exits at once.
pub(crate) fn spawn_exit_wait(name: &str, setting: Setting, _: usize) {
    best(name, 150 / setting.scale + 1, || {
        // SAFETY: the kernel only reads, from strings with their NULs.
        let child =
            unsafe { system_call::spawn_with(c"nop".as_ptr().cast(), c"nop".as_ptr().cast()) };
        assert!(child > 0, "cannot start nop: {child}");
        wait(child as Pid);
    });
}
