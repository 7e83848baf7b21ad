//! The rights of a region.
#![forbid(unsafe_code)]

use core::fmt;

use crate::page_table::Perm;

bitflags::bitflags! {
    /// What may be done with a region besides reading it, which is always allowed. Any combination can be asked for.
    #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
    pub struct Protection: u8 {
        /// Its memory may be written.
        const WRITE = 1;
        /// Its memory may be executed.
        const EXECUTE = 1 << 1;
        /// Only the kernel may use it: for address spaces of kernel threads. Without it, users may.
        const KERNEL = 1 << 2;
    }
}

impl Protection {
    /// What the entry of a page allows that belongs to this address space alone.
    #[inline]
    pub(super) fn perm(self) -> Perm {
        let read = if self.contains(Protection::KERNEL) {
            Perm::PRESENT
        } else {
            Perm::USER_READ
        };
        let write = if self.contains(Protection::WRITE) {
            Perm::WRITE
        } else {
            Perm::empty()
        };
        let no_execute = if self.contains(Protection::EXECUTE) {
            Perm::empty()
        } else {
            Perm::NO_EXECUTE
        };
        read | write | no_execute
    }

    /// What the entry of a page allows that others share: as `perm`, but the first write is to get a copy.
    #[inline]
    pub(super) fn shared_perm(self) -> Perm {
        self.perm().shared_until_written()
    }
}

/// As in `rwxk`, with a dash for what is not there.
impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("r")?;
        for (right, letter) in [
            (Protection::WRITE, "w"),
            (Protection::EXECUTE, "x"),
            (Protection::KERNEL, "k"),
        ] {
            f.write_str(if self.contains(right) { letter } else { "-" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Protection;
    use crate::page_table::Perm;

    #[test]
    fn each_right_is_one_of_the_entry() {
        for bits in 0..=Protection::all().bits() {
            let protection = Protection::from_bits_retain(bits);
            let perm = protection.perm();
            for (right, is_allowed) in [
                (Protection::WRITE, perm.contains(Perm::WRITE)),
                (Protection::EXECUTE, !perm.contains(Perm::NO_EXECUTE)),
                (Protection::KERNEL, !perm.contains(Perm::USER)),
            ] {
                assert_eq!(protection.contains(right), is_allowed, "{protection}");
            }
            assert!(perm.contains(Perm::PRESENT));
        }
    }

    #[test]
    fn a_page_that_others_share_is_writable_only_by_a_copy() {
        let perm = (Protection::WRITE | Protection::KERNEL).shared_perm();
        let expected = Perm::PRESENT | Perm::COPY_ON_WRITE | Perm::NO_EXECUTE;
        assert_eq!(perm, expected);
        let read_only = Protection::EXECUTE;
        assert_eq!(read_only.shared_perm(), read_only.perm());
    }
}
