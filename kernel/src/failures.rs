//! Injected failures (`fail=` on the boot line): what seldom fails is made to, so that tests see what happens then.
//!
//! As a break switch does, each sets something in the part that fails, where it costs nothing that could be measured.
//! docs/reliability.md says what is to happen then.

use core::fmt::Display;
use core::num::NonZeroU32;
use core::str::FromStr;

use mm::fail::{self, Whose};
use smp::bring_up::Deaf;
use smp::ipi::Ipi;
use smp::ipi::trouble::{self, Trouble};

use crate::boot::command_line::CommandLine;

/// Arranges for the failures that the boot line asks for, but those of [`deaf_cpu`].
///
/// Needs to come before frames and heap.
pub(crate) fn arrange(command_line: &CommandLine) {
    for value in values(command_line) {
        smp::log!("INJECTED FAILURE {value}");
        let mut words = value.split(':');
        match [(); 4].map(|()| words.next()) {
            [Some("alloc"), Some("driver"), None, _] => fail::enable(),
            [Some("alloc"), Some(number), count, None] => {
                fail::enable();
                let count = count.map_or(NonZeroU32::MIN, |count| parse(value, count));
                fail::arm(Whose::Everybodys, parse(value, number), count);
            }
            [Some("ap"), Some(_), ..] => {}
            [Some("lost"), Some(ipi), Some(every), None] => {
                trouble::arrange(parse_ipi(value, ipi), parse(value, every), Trouble::Lost);
            }
            [Some("late"), Some(ipi), Some(every), Some(delay_ns)] => {
                let delay_ns = parse(value, delay_ns);
                let late = Trouble::Late { delay_ns };
                trouble::arrange(parse_ipi(value, ipi), parse(value, every), late);
            }
            _ => unknown(&value),
        }
    }
}

/// The CPU that shall not answer: its place among `others`, counted from 1.
pub(crate) fn deaf_cpu(command_line: &CommandLine, others: &[u32]) -> Deaf {
    for value in values(command_line) {
        let mut words = value.split(':');
        let (is_always, number) = match [(); 4].map(|()| words.next()) {
            [Some("ap"), Some(number), None, _] => (true, number),
            [Some("ap"), Some(number), Some("second"), None] => (false, number),
            [Some("ap"), ..] => unknown(&value),
            _ => continue,
        };
        let place = parse::<usize>(value, number).wrapping_sub(1);
        return match others.get(place) {
            Some(apic_id) if is_always => Deaf::Always(*apic_id),
            Some(apic_id) => Deaf::InSecondRound(*apic_id),
            None => unknown(&value),
        };
    }
    Deaf::Nobody
}

fn values(command_line: &CommandLine) -> impl Iterator<Item = &'static str> {
    command_line
        .values("fail")
        .flat_map(|values| values.split(','))
}

fn parse<T: FromStr>(value: &str, number: &str) -> T {
    number.parse().unwrap_or_else(|_| unknown(&value))
}

fn parse_ipi(value: &str, name: &str) -> Ipi {
    match name {
        "mailbox" => Ipi::Mailbox,
        "reschedule" => Ipi::Reschedule,
        _ => unknown(&value),
    }
}

fn unknown(value: &dyn Display) -> ! {
    panic!("boot line: fail={value} is not known");
}
