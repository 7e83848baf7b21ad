//! Why the program ends with status 1.

use core::fmt;

use geometry::TooManyPages;

use crate::MACHINES;

pub(crate) enum Failure {
    NoSuchMachine(&'static str),
    NoSuchCommand(&'static str),
    NotANumber(&'static str),
    TooManyPages(TooManyPages),
    /// What should hold does not.
    Wrong(&'static str),
}

impl From<TooManyPages> for Failure {
    fn from(error: TooManyPages) -> Failure {
        Failure::TooManyPages(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoSuchMachine(name) => {
                write!(f, "there is no machine '{name}', but")?;
                MACHINES
                    .iter()
                    .try_for_each(|machine| write!(f, " {}", machine.name))
            }
            Failure::NoSuchCommand(word) => write!(f, "'{word}' is neither pages nor translate"),
            Failure::NotANumber(word) => {
                write!(
                    f,
                    "'{word}' is not a number of 64 bits, such as 4096 or 0x1000"
                )
            }
            Failure::TooManyPages(error) => write!(f, "{error}"),
            Failure::Wrong(what) => write!(f, "WRONG: {what}"),
        }
    }
}
