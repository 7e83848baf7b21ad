//! The lines by which the kernel tells the outside how a run went.
//!
//! Guarantee: a line that the kernel formats here is parsed here into the same value, whatever text it carries. The
//! kernel writes such lines to its log (the second serial port); `run-smp.sh` and the test harness read them there.
//! QEMU's own exit status carries 7 bits only, so it says no more than which kind of end it was ([`DebugExit`]).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt::{self, Display, Write};
use core::str::FromStr;

/// What every protocol line begins with, at the start of a log line.
pub const PREFIX: &str = "@@argonaut ";

/// The I/O port of QEMU's `isa-debug-exit` device, as `run-smp.sh` configures it.
pub const DEBUG_EXIT_PORT: u16 = 0xf4;

/// What the kernel writes to [`DEBUG_EXIT_PORT`] once the protocol line is out.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(u32)]
pub enum DebugExit {
    /// `init` has ended; the line says with which status or by which signal.
    Done = 0x10,
    /// The kernel panicked.
    Panic = 0x20,
    /// The kernel found a machine that it cannot run on.
    Refused = 0x30,
}

impl DebugExit {
    /// The status with which QEMU's process then ends.
    pub const fn qemu_status(self) -> i32 {
        ((self as i32) << 1) | 1
    }
}

/// One protocol line; `M` is the text of a message: `&str` when parsed, anything printable when formatted.
///
/// `Display` writes the line without a line end. A message's own line breaks and other control characters become
/// spaces, so one value is always one line.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Line<M> {
    /// `init` exited with this status.
    Exit(u8),
    /// `init` was ended by this signal.
    Killed(u8),
    /// The kernel panicked with this message.
    Panic(M),
    /// The kernel cannot run on this machine, for this reason.
    Refused(M),
    /// The first user instruction is about to run.
    Booted {
        /// How many CPUs are up.
        cpus: u32,
        /// Time since the kernel's first instruction.
        microseconds: u64,
    },
    /// The kernel is about to reset the machine because it was asked to.
    Reboot,
}

impl<M> Line<M> {
    /// Whether the run ends with this line.
    pub const fn is_outcome(&self) -> bool {
        !matches!(self, Line::Booted { .. } | Line::Reboot)
    }
}

impl<'a> Line<&'a str> {
    /// Reads one line of the kernel log (with or without its line end); `None` if it is not a protocol line.
    pub fn parse(line: &'a str) -> Option<Self> {
        let rest = line.trim_end_matches(['\r', '\n']).strip_prefix(PREFIX)?;
        let (kind, value) = match rest {
            "reboot" => return Some(Line::Reboot),
            rest => rest.split_once(' ')?,
        };
        match kind {
            "exit" => number(value).map(Line::Exit),
            "killed" => number(value).map(Line::Killed),
            "panic" => Some(Line::Panic(value)),
            "refused" => Some(Line::Refused(value)),
            "booted" => {
                let (cpus, microseconds) = value.split_once(' ')?;
                Some(Line::Booted {
                    cpus: number(cpus)?,
                    microseconds: number(microseconds)?,
                })
            }
            _ => None,
        }
    }
}

impl<M: Display> Display for Line<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self {
            Line::Exit(status) => write!(f, "exit {status}"),
            Line::Killed(signal) => write!(f, "killed {signal}"),
            Line::Panic(message) => write!(OneLine(f), "panic {message}"),
            Line::Refused(message) => write!(OneLine(f), "refused {message}"),
            Line::Booted { cpus, microseconds } => write!(f, "booted {cpus} {microseconds}"),
            Line::Reboot => f.write_str("reboot"),
        }
    }
}

/// Plain decimal digits only: `parse` alone would also take `+7`, and a line would then not format back to itself.
fn number<N: FromStr>(digits: &str) -> Option<N> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

/// Writes with every control character replaced by a space.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            match part.char_indices().next_back() {
                Some((at, last)) if last.is_control() => {
                    self.0.write_str(&part[..at])?;
                    self.0.write_char(' ')?;
                }
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DebugExit, Line};

    fn round_trip(line: Line<&str>) {
        assert_eq!(Line::parse(&line.to_string()), Some(line));
    }

    #[test]
    fn every_kind_of_line_is_parsed_into_what_was_formatted() {
        for value in [0, 1, 9, 127, 128, 255] {
            round_trip(Line::Exit(value));
            round_trip(Line::Killed(value));
        }
        for message in ["out of frames", "", " a  b ", "@@argonaut exit 0", "schön"] {
            round_trip(Line::Panic(message));
            round_trip(Line::Refused(message));
        }
        round_trip(Line::Booted {
            cpus: 1,
            microseconds: 0,
        });
        round_trip(Line::Booted {
            cpus: u32::MAX,
            microseconds: u64::MAX,
        });
        round_trip(Line::Reboot);
    }

    #[test]
    fn a_message_of_several_lines_becomes_one_line_that_forges_no_other() {
        let line = Line::Panic("first\nsecond\r\n@@argonaut exit 0\n").to_string();
        assert_eq!(line, "@@argonaut panic first second  @@argonaut exit 0 ");
    }

    #[test]
    fn the_formats_are_those_that_run_smp_sh_reads() {
        assert_eq!(Line::<&str>::Exit(7).to_string(), "@@argonaut exit 7");
        assert_eq!(Line::<&str>::Killed(9).to_string(), "@@argonaut killed 9");
        assert_eq!(Line::Panic("why").to_string(), "@@argonaut panic why");
        assert_eq!(Line::Refused("why").to_string(), "@@argonaut refused why");
        let booted = Line::<&str>::Booted {
            cpus: 4,
            microseconds: 81_000,
        };
        assert_eq!(booted.to_string(), "@@argonaut booted 4 81000");
        assert_eq!(Line::<&str>::Reboot.to_string(), "@@argonaut reboot");
    }

    #[test]
    fn a_line_end_does_not_belong_to_the_line() {
        assert_eq!(Line::parse("@@argonaut exit 3\r\n"), Some(Line::Exit(3)));
        assert_eq!(
            Line::parse("@@argonaut panic why\n"),
            Some(Line::Panic("why"))
        );
    }

    #[test]
    fn anything_else_is_not_a_protocol_line() {
        for line in [
            "",
            "exit 0",
            " @@argonaut exit 0",
            "@@argonaut exit",
            "@@argonaut exit ",
            "@@argonaut exit 256",
            "@@argonaut exit +7",
            "@@argonaut exit -1",
            "@@argonaut exit 0 0",
            "@@argonaut booted 4",
            "@@argonaut booted 4 81 000",
            "@@argonaut left 0",
        ] {
            assert_eq!(Line::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn only_a_boot_or_a_reboot_leaves_the_run_open() {
        assert!(Line::<&str>::Exit(0).is_outcome());
        assert!(Line::Panic("why").is_outcome());
        assert!(!Line::<&str>::Reboot.is_outcome());
        assert!(
            !Line::<&str>::Booted {
                cpus: 1,
                microseconds: 1
            }
            .is_outcome()
        );
    }

    #[test]
    fn the_ends_of_qemu_can_be_told_apart() {
        assert_eq!(DebugExit::Done.qemu_status(), 33);
        assert_eq!(DebugExit::Panic.qemu_status(), 65);
        assert_eq!(DebugExit::Refused.qemu_status(), 97);
    }
}
