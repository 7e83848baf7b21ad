//! The errors that a system call can have, read out of its documentation.

use crate::{Errno, SystemCall, TABLE};

/// A set of errors with names.
#[derive(Copy, Clone, Eq, PartialEq, Default, Debug)]
pub struct ErrnoSet(u128);

impl ErrnoSet {
    /// No errors.
    pub const EMPTY: ErrnoSet = ErrnoSet(0);

    /// The set whose bits, by the errors' numbers, are those of `bits`.
    pub const fn from_bits(bits: u128) -> ErrnoSet {
        ErrnoSet(bits)
    }

    /// Whether `errno` is in it.
    pub fn contains(self, errno: Errno) -> bool {
        self.0 & bit(errno) != 0
    }

    /// Adds `errno`.
    pub fn insert(&mut self, errno: Errno) {
        self.0 |= bit(errno);
    }

    /// Takes `errno` out.
    pub fn remove(&mut self, errno: Errno) {
        self.0 &= !bit(errno);
    }

    /// What is in this one and not in `other`, ascending.
    pub fn without(self, other: ErrnoSet) -> impl Iterator<Item = Errno> {
        let left = ErrnoSet(self.0 & !other.0);
        let named = Errno::ALL.iter().copied();
        named.filter(move |errno| left.contains(*errno))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// 0 for an error without a name whose number is too large.
fn bit(errno: Errno) -> u128 {
    1_u128
        .checked_shl(errno.number().try_into().unwrap_or(u32::MAX))
        .unwrap_or(0)
}

impl SystemCall {
    /// The errors that the paragraph `Errors:` of its documentation names; with `those of` another call that one's too,
    /// but for those that stand behind a `but`.
    pub fn errors(&self) -> ErrnoSet {
        let mut errors = ErrnoSet::EMPTY;
        let mut before = "";
        let paragraph = self
            .documentation
            .iter()
            .skip_while(|line| !line.contains("Errors:"))
            .take_while(|line| !line.trim().is_empty());
        for line in paragraph {
            for (index, piece) in line.split('`').enumerate() {
                if index % 2 == 0 {
                    // Behind the end of a line stands what stood there.
                    before = match piece.trim() {
                        "" => before,
                        words => words,
                    };
                    continue;
                }
                let named = Errno::ALL.iter().find(|errno| errno.name() == Some(piece));
                match named {
                    Some(errno) if before == "but" => errors.remove(*errno),
                    Some(errno) => errors.insert(*errno),
                    None if before.ends_with("those of") => {
                        let other = TABLE.iter().find(|call| call.name == piece);
                        errors.0 |= other.map_or(0, |call| call.errors().0);
                    }
                    None => {}
                }
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::ErrnoSet;
    use crate::{Errno, Sysno, TABLE};

    fn errors(call: Sysno) -> ErrnoSet {
        TABLE[call.number()].errors()
    }

    fn names(errors: ErrnoSet) -> Vec<String> {
        let errors = errors.without(ErrnoSet::EMPTY);
        errors.map(|errno| format!("{errno:?}")).collect()
    }

    #[test]
    fn errors_are_those_that_the_paragraph_names() {
        assert!(errors(Sysno::GetPid).is_empty());
        assert_eq!(
            names(errors(Sysno::Kill)),
            ["EPERM", "ESRCH", "EAGAIN", "EINVAL"]
        );
        assert_eq!(names(errors(Sysno::Dup)), ["EBADF", "ENOMEM", "EMFILE"]);
    }

    #[test]
    fn the_errors_of_another_call_are_added_but_for_those_that_are_named() {
        let (spawn, spawn_with) = (errors(Sysno::Spawn), errors(Sysno::SpawnWith));
        let more: Vec<_> = spawn_with.without(spawn).collect();
        assert_eq!(more, [Errno::E2BIG]);
        assert_eq!(spawn_with.len(), spawn.len() + 1);
        assert!(errors(Sysno::JoinThread).contains(Errno::EAGAIN));
        assert!(!errors(Sysno::JoinThreadWait).contains(Errno::EAGAIN));
        assert!(errors(Sysno::JoinThreadWait).contains(Errno::EDEADLK));
        assert!(!errors(Sysno::Protect).contains(Errno::EPERM));
    }

    #[test]
    fn errors_without_a_name_are_in_no_set() {
        let mut errors = ErrnoSet::EMPTY;
        errors.insert(Errno::from_number(4000).unwrap());
        assert!(errors.is_empty());
    }
}
