//! `selftest [WORD]`: tests of the kernel that need the machine, those whose names contain WORD.
//!
//! A test is a function anywhere in the kernel that [`self_tests!`] names: the linker puts them side by side, in a
//! section of their own. It runs on a thread of the kernel and leaves nothing behind.

mod cpus;
mod memory;

use core::fmt;

use abi::{Errno, ExitStatus};
use proc::sched;
use proc::spawn::{KernelSpace, spawn_kernel_process};
use proc::wait_pid::{Which, wait_for_child};

use super::{FAILED, WRONG_USE};
use crate::device::console::say;

/// A test.
pub(crate) struct SelfTest {
    /// What it shows, in words that are joined by underscores.
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<(), NotSo>,
}

/// What a test expects is not so. It has said what.
pub(crate) struct NotSo;

/// Puts functions with the names of what they show into the list of tests.
macro_rules! self_tests {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = {
            #[used]
            // SAFETY: the section has values of this type only, and its symbols are `ALL`'s.
            #[unsafe(link_section = "self_tests")]
            static TEST: $crate::kernel_programs::selftest::SelfTest =
                $crate::kernel_programs::selftest::SelfTest {
                    name: stringify!($name),
                    run: $name,
                };
        };)+
    };
}
pub(crate) use self_tests;

/// Ends the test if `$condition` does not hold, and says the rest, made as by `format!`.
macro_rules! demand {
    ($condition:expr, $($argument:tt)+) => {
        if !$condition {
            $crate::device::console::say!("selftest: expected: {}", format_args!($($argument)+));
            return Err($crate::kernel_programs::selftest::NotSo);
        }
    };
}
pub(crate) use demand;

// The linker script defines both, around the section.
unsafe extern "C" {
    static __self_tests_start: u8;
    static __self_tests_end: u8;
}

/// All tests.
fn all() -> &'static [SelfTest] {
    let (start, end) = (&raw const __self_tests_start, &raw const __self_tests_end);
    let count = (end.addr() - start.addr()) / size_of::<SelfTest>();
    // SAFETY: between the two are the tests that `self_tests` has put there, without gaps since the size of each is a
    // multiple of its alignment, and they never change.
    unsafe { core::slice::from_raw_parts(start.cast(), count) }
}

pub(super) fn run(arguments: &str) -> i32 {
    let word = arguments.trim();
    let (mut passed, mut failed) = (0, 0);
    for test in all().iter().filter(|test| test.name.contains(word)) {
        let words = Words(test.name);
        match (test.run)() {
            Ok(()) => {
                passed += 1;
                say!("selftest: {words}: ok");
            }
            Err(NotSo) => {
                failed += 1;
                say!("selftest: {words}: FAILED");
            }
        }
    }
    match (passed, failed) {
        (0, 0) => {
            say!("selftest: no test is called so: {word}");
            WRONG_USE
        }
        (_, 0) => {
            say!("selftest: all {passed} tests passed");
            0
        }
        _ => {
            say!("selftest: {failed} of {} tests FAILED", passed + failed);
            FAILED
        }
    }
}

/// Runs `body` in a child, in `space`, and waits for its status.
///
/// # Errors
/// Those of starting a process.
fn status_of_child(
    space: KernelSpace,
    body: impl FnOnce() -> i32 + Send + 'static,
) -> Result<ExitStatus, Errno> {
    let current = sched::current();
    let parent = current.process().ok_or(Errno::ECHILD)?;
    let child = spawn_kernel_process("selftest", Some(parent), space, body)?;
    Ok(wait_for_child(parent, Which::Id(child))?.status)
}

/// The words of a test's name.
struct Words(&'static str);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.split('_').enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{word}")?;
        }
        Ok(())
    }
}
