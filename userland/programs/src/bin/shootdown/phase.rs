//! The parts of a round of `shootdown`, and what must be true in each.

use core::fmt;

/// What is done to the page.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Unmap,
    Protect,
    Move,
}

impl Change {
    pub(crate) fn of_round(round: u64) -> Change {
        match round % 3 {
            0 => Change::Unmap,
            1 => Change::Protect,
            _ => Change::Move,
        }
    }
}

/// In the past.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Unmap => "unmapped",
            Change::Protect => "made read-only",
            Change::Move => "moved",
        })
    }
}

/// A part of a round: four to each.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct Phase(u64);

/// What a phase is.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The page can be written.
    Open = 0,
    /// The call is under way.
    Changing = 1,
    /// The call has returned.
    Changed = 2,
    /// It is being undone.
    Undoing = 3,
}

impl Phase {
    pub(crate) fn new(round: u64, step: Step) -> Phase {
        Phase(round * 4 + step as u64)
    }

    pub(crate) fn from_bits(bits: u64) -> Phase {
        Phase(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn change(self) -> Change {
        Change::of_round(self.0 / 4)
    }

    /// How a store must end, if that is certain.
    pub(crate) fn must_succeed(self) -> Option<bool> {
        match self.0 % 4 {
            0 => Some(true),
            2 => Some(self.change() == Change::Move),
            _ => None,
        }
    }

    /// What the `count`th store of the phase stores: more than anything before.
    pub(crate) fn stamp(self, count: u64) -> u64 {
        (self.0 << 32) | count
    }
}
