//! Signals: Linux's numbers and names.

use core::fmt::{self, Debug};

/// A signal: 1 to [`Signal::MAX`].
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $number:literal, $meaning:literal;)+) => {
        impl Signal {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Signal = Signal($number);
            )+

            /// The signals that have names, by their numbers.
            pub const NAMED: &'static [Signal] = &[$(Signal::$name),+];

            /// What the signal means; nothing for one without a name.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Signal::$name => $meaning,)+
                    _ => "",
                }
            }

            /// The signal's name; all signals that have no meaning of their own share one.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Signal::$name => stringify!($name),)+
                    _ => "signal without a name",
                }
            }
        }
    };
}

signals! {
    SIGHUP = 1, "Hang up";
    SIGINT = 2, "Interrupt from the keyboard";
    SIGQUIT = 3, "Quit";
    SIGILL = 4, "Illegal or privileged instruction";
    SIGTRAP = 5, "Breakpoint or single step";
    SIGABRT = 6, "The program gave up";
    SIGBUS = 7, "Access that the memory behind an address cannot serve";
    SIGFPE = 8, "Arithmetic exception";
    SIGKILL = 9, "End the process; cannot be caught";
    SIGUSR1 = 10, "Free for the program's use";
    SIGSEGV = 11, "Bad memory access, or privileged instruction";
    SIGUSR2 = 12, "Free for the program's use";
    SIGPIPE = 13, "Write to a pipe without a reader";
    SIGALRM = 14, "Timer";
    SIGTERM = 15, "Please end";
    SIGCHLD = 17, "A child has ended";
}

impl Signal {
    /// The largest signal number.
    pub const MAX: i32 = 31;

    /// The signal with this number, if there is one.
    pub const fn from_number(number: i32) -> Option<Signal> {
        if 1 <= number && number <= Signal::MAX {
            // The bound above fits 8 bits.
            Some(Signal(number as u8))
        } else {
            None
        }
    }

    /// The signal's number.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
}

/// What `sigaction` takes and returns for a signal without a handler.
pub const NO_HANDLER: usize = 0;

/// What a signal handler is told about the fault that the signal comes from, as its third argument. The second one is
/// the address: for a page fault the one that was used, for a breakpoint or a single step that of the next instruction,
/// and otherwise that of the instruction.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[repr(usize)]
pub enum FaultKind {
    /// The signal was sent, or an exception other than a page fault has caused it.
    NotPageFault = 0,
    /// Nothing is mapped at the address.
    MissingPage = 1,
    /// What is mapped there does not allow the access.
    Permission = 2,
    /// The address is not in user space, or only the kernel may use it.
    Privilege = 3,
    /// There is no memory for the page.
    NoMemory = 4,
    /// The page is a file's, which cannot be read.
    Unreadable = 5,
}

impl FaultKind {
    /// The kind with this number, if there is one.
    pub const fn from_number(number: usize) -> Option<FaultKind> {
        Some(match number {
            0 => FaultKind::NotPageFault,
            1 => FaultKind::MissingPage,
            2 => FaultKind::Permission,
            3 => FaultKind::Privilege,
            4 => FaultKind::NoMemory,
            5 => FaultKind::Unreadable,
            _ => return None,
        })
    }

    /// Its number.
    pub const fn number(self) -> usize {
        self as usize
    }
}

impl Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultKind, Signal};

    #[test]
    fn kinds_of_faults_have_numbers() {
        for number in 0..6 {
            assert_eq!(FaultKind::from_number(number).unwrap().number(), number);
        }
        assert_eq!(FaultKind::from_number(6), None);
    }

    #[test]
    fn only_1_to_31_are_signals() {
        assert_eq!(Signal::from_number(0), None);
        assert_eq!(Signal::from_number(32), None);
        assert_eq!(Signal::from_number(-9), None);
        assert_eq!(Signal::from_number(9), Some(Signal::SIGKILL));
        assert_eq!(Signal::SIGKILL.number(), 9);
    }
}
