//! Checks that the kernel has got everything back.

use core::fmt::{self, Display};
use core::hint::black_box;

use crate::{SysInfo, process, start};

/// The first account that is not where it was.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Difference {
    account: &'static str,
    before: u64,
    after: u64,
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} were {}, are {}",
            self.account, self.before, self.after
        )
    }
}

/// How much of its stack a program may use between two looks at the accounts.
const STACK_LEN: usize = 64 * 1024;

/// The accounts now, after this program has got all the pages of text, data and stack that it is going to need: those
/// come in when they are first touched, and would look like something lost.
pub fn now() -> SysInfo {
    touch_stack();
    start::touch_image();
    process::sysinfo()
}

#[inline(never)]
fn touch_stack() {
    black_box(&mut [0_u8; STACK_LEN]);
}

/// The first account in which `after` differs from `before`.
pub fn difference(before: &SysInfo, after: &SysInfo) -> Option<Difference> {
    let pairs = before.accounts().into_iter().zip(after.accounts());
    pairs
        .map(|((account, before), (_, after))| Difference {
            account,
            before,
            after,
        })
        .find(|difference| difference.before != difference.after)
}

/// Waits up to `patience_ms` for the accounts to be where they were `before`: orphans end by themselves.
///
/// # Errors
/// The first account that still differs then.
pub fn check_settled(before: &SysInfo, patience_ms: u64) -> Result<(), Difference> {
    let deadline_ns = process::clock_ns().saturating_add(patience_ms.saturating_mul(1_000_000));
    loop {
        match difference(before, &process::sysinfo()) {
            None => return Ok(()),
            Some(difference) if process::clock_ns() >= deadline_ns => return Err(difference),
            Some(_) => process::sleep_ms(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::SysInfo;

    #[test]
    fn a_difference_names_its_account() {
        let before = SysInfo {
            table_entries: 3,
            ..SysInfo::default()
        };
        let after = SysInfo {
            table_entries: 4,
            ..before
        };
        assert_eq!(difference(&before, &before), None);
        let found = difference(&before, &after).map(|difference| difference.to_string());
        assert_eq!(found.as_deref(), Some("table entries were 3, are 4"));
    }
}
