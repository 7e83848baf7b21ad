//! One operation with every allocation failing once.
//!
//! Each attempt is made in a process of its own, in which the operation has been done before without failures: what
//! stays in the process after that (page tables, pages of its stack) does not look like something lost.

use core::fmt::{self, Display};

use abi::Sysno;
use ulib::failures::{self, Plan};
use ulib::{Errno, ExitStatus, accounts, println, process};

/// Something that a program can have the kernel do.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Does it, with the plan in force for what the kernel does for it.
    attempt: fn(Plan) -> Attempt,
    /// Takes back what an attempt has made.
    undo: fn(usize),
    /// Whether it can be taken back to the last byte. If not, its accounts are looked at after failures only.
    is_undone_exactly: bool,
    /// Whether it may fail for want of memory.
    may_fail: bool,
}

impl Operation {
    /// One that needs memory, and that `undo` takes back to the last byte.
    pub(crate) const fn new(
        name: &'static str,
        attempt: fn(Plan) -> Attempt,
        undo: fn(usize),
    ) -> Operation {
        Operation {
            name,
            attempt,
            undo,
            is_undone_exactly: true,
            may_fail: true,
        }
    }

    /// One that cannot be taken back: a new file stays.
    pub(crate) const fn leaves_something(self) -> Operation {
        Operation {
            is_undone_exactly: false,
            ..self
        }
    }

    /// One that is never to fail for want of memory.
    pub(crate) const fn needs_nothing(self) -> Operation {
        Operation {
            may_fail: false,
            ..self
        }
    }
}

/// What came of an attempt.
pub(crate) struct Attempt {
    /// What it has made, for `undo`.
    pub(crate) result: Result<usize, Errno>,
    /// How many allocations have failed.
    pub(crate) failed: u32,
}

impl Attempt {
    /// A system call with the plan in force.
    ///
    /// # Safety
    /// As for the call.
    pub(crate) unsafe fn call(plan: Plan, call: Sysno, arguments: [usize; 6]) -> Attempt {
        // SAFETY: by the caller's word.
        let (result, failed) = unsafe { plan.call(call, arguments) };
        Attempt { result, failed }
    }

    /// The operation could not be prepared.
    pub(crate) fn not_begun(errno: Errno) -> Attempt {
        Attempt {
            result: Err(errno),
            failed: 0,
        }
    }

    /// What a child process does. It arms the plan itself where that shall be in force, and exits with 0, or with the
    /// number of an error; that the kernel ends it with SIGSEGV, for want of memory, counts as `ENOMEM`.
    pub(crate) fn in_child(body: impl FnOnce() -> Result<(), Errno>) -> Attempt {
        let child = process::start(|| {
            accounts::now();
            body().map_or_else(|errno| errno.number() as i32, |()| 0)
        });
        let status = child.and_then(process::wait);
        let failed = failures::disarm().unwrap_or(0);
        let result = match status {
            Ok(SUCCESS) => Ok(0),
            Ok(status) if status == ExitStatus::killed(ulib::Signal::SIGSEGV) => Err(Errno::ENOMEM),
            Ok(status) => Err(error_of(status)),
            Err(errno) => Err(errno),
        };
        Attempt { result, failed }
    }
}

fn error_of(status: ExitStatus) -> Errno {
    match status.outcome() {
        ulib::Outcome::Exited(code) => {
            Errno::from_number(usize::from(code)).unwrap_or(Errno::EINVAL)
        }
        ulib::Outcome::Killed(_) => Errno::EINTR,
    }
}

const SUCCESS: ExitStatus = ExitStatus::exited(0);

/// Does not fail anything.
const NEVER: Plan = Plan {
    first: u32::MAX,
    count: 1,
};

/// How many attempts there were, and what came of them.
#[derive(Default)]
pub(crate) struct Tally {
    attempts: u32,
    pub(crate) failed: u32,
    /// Attempts that have done their work although an allocation failed.
    successes: u32,
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4} failed in {:>3} attempts, of which {} did without",
            self.failed, self.attempts, self.successes
        )
    }
}

/// How many attempts there are at most: no operation here asks for so many pieces of memory.
const MOST: u32 = 2000;

/// How long ended processes may take to be forgotten.
const PATIENCE_MS: u64 = 2000;

/// What an attempt's process says.
enum Verdict {
    /// As it should be; so many allocations failed, and the operation reported it or not.
    Fine {
        failed: u32,
        is_reported: bool,
    },
    Wrong,
}

/// Attempts the operation with each allocation failing, alone and with all after it.
///
/// # Errors
/// What went wrong.
pub(crate) fn sweep(operation: &Operation) -> Result<Tally, &'static str> {
    let mut tally = Tally::default();
    for count in [1, u32::MAX] {
        for first in 1.. {
            let plan = Plan { first, count };
            let Verdict::Fine {
                failed,
                is_reported,
            } = attempt_in_process(operation, plan)?
            else {
                return Err("see above");
            };
            if failed == 0 {
                break;
            }
            tally.attempts += 1;
            tally.failed += failed;
            tally.successes += u32::from(!is_reported);
            if first == MOST {
                return Err("it never ends");
            }
        }
    }
    Ok(tally)
}

fn attempt_in_process(operation: &Operation, plan: Plan) -> Result<Verdict, &'static str> {
    let before = accounts::now();
    let (reader, writer) = ulib::file::pipe().map_err(|_| "there is no pipe")?;
    let child = process::start(|| match attempt(operation, plan) {
        Ok((failed, is_reported)) => {
            let words = [failed, u32::from(is_reported)];
            let bytes = words.map(u32::to_le_bytes);
            i32::from(writer.write_all(bytes.as_flattened()).is_err())
        }
        Err(reason) => {
            println!("{} with {plan:?}: {reason}", operation.name);
            1
        }
    });
    let status = child.and_then(process::wait);
    if status != Ok(SUCCESS) {
        if let Ok(status) = status
            && status != ExitStatus::exited(1)
        {
            println!("{} with {plan:?}: {status}", operation.name);
        }
        return Ok(Verdict::Wrong);
    }
    let mut words = [[0; 4]; 2];
    reader
        .read_full(words.as_flattened_mut())
        .map_err(|_| "the pipe cannot be read")?;
    let [failed, is_reported] = words.map(u32::from_le_bytes);
    drop((reader, writer));
    if operation.is_undone_exactly
        && let Err(difference) = accounts::check_settled(&before, PATIENCE_MS)
    {
        println!(
            "{} with {plan:?}, its process gone: {difference}",
            operation.name
        );
        return Ok(Verdict::Wrong);
    }
    Ok(Verdict::Fine {
        failed,
        is_reported: is_reported != 0,
    })
}

/// What is wrong with an attempt.
enum Wrong {
    First(Errno),
    Unexpected(Errno),
    Again(Errno),
    Lost(accounts::Difference),
    LostAgain(accounts::Difference),
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::First(errno) => write!(f, "without failures: {errno}"),
            Wrong::Unexpected(errno) => write!(f, "unexpected error: {errno}"),
            Wrong::Again(errno) => write!(f, "{errno} when tried again"),
            Wrong::Lost(difference) => write!(f, "{difference}"),
            Wrong::LostAgain(difference) => write!(f, "{difference} when tried again"),
        }
    }
}

/// One attempt. Returns how many allocations failed, and whether the operation has reported that.
fn attempt(operation: &Operation, plan: Plan) -> Result<(u32, bool), Wrong> {
    let complete = || (operation.attempt)(NEVER).result.map(operation.undo);
    complete().map_err(Wrong::First)?;
    let before = accounts::now();
    let check = || accounts::check_settled(&before, PATIENCE_MS);
    let Attempt { result, failed } = (operation.attempt)(plan);
    let is_reported = result.is_err();
    match result {
        Ok(made) => (operation.undo)(made),
        Err(Errno::ENOMEM | Errno::EAGAIN | Errno::ENOSPC) if failed != 0 && operation.may_fail => {
        }
        Err(errno) => return Err(Wrong::Unexpected(errno)),
    }
    if operation.is_undone_exactly || is_reported {
        check().map_err(Wrong::Lost)?;
    }
    complete().map_err(Wrong::Again)?;
    if operation.is_undone_exactly {
        check().map_err(Wrong::LostAgain)?;
    }
    Ok((failed, is_reported))
}
