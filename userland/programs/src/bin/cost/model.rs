//! What a fork must cost, if it costs what its steps do.

use crate::units::Units;

/// How `fork` copies memory.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(crate) enum Policy {
    Naive,
    Eager,
    CopyOnWrite,
}

impl Policy {
    pub(crate) const ALL: [Policy; 3] = [Policy::Naive, Policy::Eager, Policy::CopyOnWrite];

    /// Its name on the boot line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Policy::Naive => "naive",
            Policy::Eager => "eager",
            Policy::CopyOnWrite => "cow",
        }
    }

    /// Its name for people.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Policy::Naive => "naive",
            Policy::Eager => "eager",
            Policy::CopyOnWrite => "copy-on-write",
        }
    }
}

/// A process and what everything costs for it, in instructions.
pub(crate) struct Model {
    pub(crate) units: Units,
    /// How many pages it can write, and how many it can only read.
    pub(crate) writable: f64,
    pub(crate) read_only: f64,
}

impl Model {
    /// A fork after which the parent writes into so many pages, without what a fork costs that has no such pages.
    pub(crate) fn fork_and_write(&self, policy: Policy, written: f64) -> f64 {
        let Units {
            m,
            p,
            b,
            r,
            m_single,
            ..
        } = self.units;
        let pages = self.writable + self.read_only;
        match policy {
            Policy::Naive => pages * (m + p + b),
            Policy::Eager => pages * m_single + self.writable * (p + b + r),
            Policy::CopyOnWrite => pages * m + written * self.write_after(),
        }
    }

    /// The first write into a page after a copy-on-write fork.
    fn write_after(&self) -> f64 {
        let Units { f, p, b, r, .. } = self.units;
        f + p + b + r
    }

    /// After how many writes copy-on-write has cost what copying at once has, if the forks of a process without such
    /// pages differ by `base` in favour of copy-on-write.
    pub(crate) fn crossover(&self, base: f64) -> f64 {
        let saved =
            self.fork_and_write(Policy::Eager, 0.0) - self.fork_and_write(Policy::CopyOnWrite, 0.0);
        (base + saved) / self.write_after()
    }
}
