//! Commands that try out the kernel.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use proc::process::Process;

use super::{GO_ON, programs};
use crate::device::console::say;
use crate::paging_test;

pub(super) fn pagingtest(process: &Arc<Process>, _: &str) -> ControlFlow<i32> {
    if let Err(error) = paging_test::run(process) {
        say!("pagingtest: cannot be started: {error}");
    }
    GO_ON
}

pub(super) fn selftest(process: &Arc<Process>, word: &str) -> ControlFlow<i32> {
    programs::run_named(process, "selftest", word);
    GO_ON
}
