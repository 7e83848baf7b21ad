//! `forkpolicy NAME`: how `fork` copies memory from now on, by the names of the boot option `fork=`; `forkpolicy boot`:
//! as the boot line says.
//!
//! For experiments that compare. It holds for all processes, and any program can start it.

use mm::space::ForkPolicy;

use super::WRONG_USE;
use crate::device::console::say;

pub(super) fn run(arguments: &str) -> i32 {
    let name = arguments.trim();
    let policy = ForkPolicy::from_name(name);
    if policy.is_none() && name != "boot" {
        say!("usage: forkpolicy shared|cow|eager|naive|boot");
        return WRONG_USE;
    }
    proc::fork::override_policy(policy);
    0
}
