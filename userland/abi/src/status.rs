//! What `waitpid` reports.

use core::fmt::{self, Display};

use crate::flag_set::flag_set;
use crate::{Pid, Signal};

/// The process that is always there: it adopts orphans, and the machine ends with it.
pub const INIT_PID: Pid = 1;

/// `waitpid`'s process id for "any child".
pub const WAIT_ANY: Pid = -1;

/// How a process ended, as one number: its exit code (0 to 255), or minus the signal that ended it.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(transparent)]
pub struct ExitStatus(i32);

/// How a process ended.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Outcome {
    /// It called `exit` with this code.
    Exited(u8),
    /// This signal ended it.
    Killed(Signal),
}

impl ExitStatus {
    /// The status after `exit(status)`: the low 8 bits count.
    pub const fn exited(status: i32) -> ExitStatus {
        ExitStatus(status & 0xff)
    }

    /// The status of a process that `signal` ended.
    pub const fn killed(signal: Signal) -> ExitStatus {
        ExitStatus(-signal.number())
    }

    /// The number that `waitpid` stores.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The status with this number, if it is one.
    pub const fn from_raw(raw: i32) -> Option<ExitStatus> {
        if -Signal::MAX <= raw && raw <= 0xff {
            Some(ExitStatus(raw))
        } else {
            None
        }
    }

    /// Exit code or signal?
    pub const fn outcome(self) -> Outcome {
        // Every constructor keeps the number within -31..=255.
        match Signal::from_number(-self.0) {
            Some(signal) => Outcome::Killed(signal),
            None => Outcome::Exited(self.0 as u8),
        }
    }

    /// One code for both ends, as shells have it: the exit code, or 128 + signal.
    pub const fn shell_code(self) -> u8 {
        match self.outcome() {
            Outcome::Exited(code) => code,
            Outcome::Killed(signal) => 128 + signal.number() as u8,
        }
    }
}

impl Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome() {
            Outcome::Exited(code) => write!(f, "exit code {code}"),
            Outcome::Killed(signal) => write!(f, "killed by {signal:?}"),
        }
    }
}

flag_set! {
    /// What `waitpid` shall do besides waiting.
    pub struct WaitFlags: u32 {
        /// Return 0 at once if no child has ended.
        const WNOHANG = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitStatus, Outcome, WaitFlags};
    use crate::Signal;

    #[test]
    fn an_exit_code_never_looks_like_a_kill() {
        assert_eq!(ExitStatus::exited(-9).outcome(), Outcome::Exited(247));
        assert_eq!(ExitStatus::exited(256).outcome(), Outcome::Exited(0));
        assert_eq!(ExitStatus::exited(7).raw(), 7);
    }

    #[test]
    fn a_kill_carries_its_signal() {
        let status = ExitStatus::killed(Signal::SIGKILL);
        assert_eq!(status.raw(), -9);
        assert_eq!(status.outcome(), Outcome::Killed(Signal::SIGKILL));
        assert_eq!(status.shell_code(), 137);
        assert_eq!(status.to_string(), "killed by SIGKILL (9)");
    }

    #[test]
    fn numbers_that_are_no_status_are_refused() {
        assert_eq!(ExitStatus::from_raw(-32), None);
        assert_eq!(ExitStatus::from_raw(256), None);
        assert_eq!(
            ExitStatus::from_raw(-11),
            Some(ExitStatus::killed(Signal::SIGSEGV))
        );
    }

    #[test]
    fn unknown_wait_flags_are_refused() {
        assert_eq!(WaitFlags::from_bits(2), None);
        assert_eq!(WaitFlags::from_bits(1), Some(WaitFlags::WNOHANG));
        assert!(!WaitFlags::empty().contains(WaitFlags::WNOHANG));
    }
}
