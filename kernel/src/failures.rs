//! Injected failures (`fail=` on the boot line): what seldom fails is made to, so that tests see what happens then.
//!
//! As a break switch does, each sets something in the part that fails, where it costs nothing that could be measured.
//! docs/reliability.md says what is to happen then.

use core::fmt;
use core::num::NonZeroU32;

use mm::fail::{self, Whose};

use crate::boot::command_line::CommandLine;

/// Arranges for the failures that the boot line asks for.
///
/// Needs to come before frames and heap.
pub(crate) fn arrange(command_line: &CommandLine) {
    for value in command_line
        .values("fail")
        .flat_map(|values| values.split(','))
    {
        smp::log!("INJECTED FAILURE {value}");
        let words = value.split_once(':');
        match words {
            Some(("alloc", "driver")) => fail::enable(),
            Some(("alloc", number)) => {
                fail::enable();
                fail::arm(Whose::Everybodys, parse(value, number), NonZeroU32::MIN);
            }
            _ => unknown(&value),
        }
    }
}

fn parse(value: &str, number: &str) -> u32 {
    number.parse().unwrap_or_else(|_| unknown(&value))
}

fn unknown(value: &dyn fmt::Display) -> ! {
    panic!("boot line: fail={value} is not known");
}
