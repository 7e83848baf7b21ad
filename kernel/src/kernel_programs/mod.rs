//! Programs of the kernel (`proc::kernel_program`): what has to be seen from inside, on several CPUs at once.
//!
//! They are started like any other program, by `run-smp.sh NAME` or the shell's `run`, print what they show, and exit
//! with 1 if it does not hold.

mod fork_policy;
mod hunt;
mod pattern;
pub(crate) mod selftest;
mod team;
mod unit_costs;

use proc::kernel_program::KernelProgram;

/// All of them.
pub(crate) static PROGRAMS: [KernelProgram; 5] = [
    KernelProgram {
        name: "forkpolicy",
        run: fork_policy::run,
    },
    KernelProgram {
        name: "hunt",
        run: hunt::run,
    },
    KernelProgram {
        name: "kernelpattern",
        run: pattern::run,
    },
    KernelProgram {
        name: "selftest",
        run: selftest::run,
    },
    KernelProgram {
        name: "unitcosts",
        run: unit_costs::run,
    },
];

/// The exit status of a program that could not do its work.
const FAILED: i32 = 1;
/// That of one that was called wrongly.
const WRONG_USE: i32 = 2;

/// The one number that a program may be given, or `usual` if it was given nothing; `None` if it is something else.
fn number(arguments: &str, usual: u64) -> Option<u64> {
    match arguments.trim() {
        "" => Some(usual),
        text => text.parse().ok(),
    }
}
