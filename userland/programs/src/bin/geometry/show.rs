//! How numbers, rights and entries are printed.

use core::fmt;

use geometry::{Decoded, Protection, Rights};

/// A number of bytes, in the largest unit of which it is a multiple.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let (mut value, mut unit) = (self.0, 0);
        while value % 1024 == 0 && value > 0 && unit + 1 < units.len() {
            value /= 1024;
            unit += 1;
        }
        write!(f, "{value} {}", units.get(unit).unwrap_or(&""))
    }
}

/// Rights, such as `rw- user`.
pub(crate) struct Shown(pub(crate) Rights);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = if self.0.is_writable { 'w' } else { '-' };
        let execute = if self.0.is_executable { 'x' } else { '-' };
        let owner = if self.0.is_user { "user" } else { "kernel" };
        write!(f, "r{write}{execute} {owner}")
    }
}

/// An entry of this level: its bits, and what they say.
pub(crate) struct Entry<M>(pub(crate) M, pub(crate) u64, pub(crate) u32);

impl<M: Protection> fmt::Display for Entry<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Entry(machine, raw, level) = self;
        let width = 2 + 2 * machine.entry_bytes() as usize;
        write!(f, "{raw:#0width$x} ")?;
        let (kind, address) = match machine.decode(raw, level) {
            Decoded::Empty => return f.write_str("empty"),
            Decoded::Table(table) => ("table", table),
            Decoded::Leaf(start) => ("page", start),
        };
        write!(
            f,
            "{kind} {address:#x} {}",
            Shown(machine.rights(raw, level))
        )
    }
}
