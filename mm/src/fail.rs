//! Injected failures: an allocation that fails because a test wants it to, although there is memory.
//!
//! Frames (one, or a block), blocks of the heap, kernel stacks and entries of the process table are counted together,
//! in the order in which they are asked for. A plan ([`arm`]) says which of them fail: those of one thread, or
//! everybody's.
//!
//! On the way to a frame or a block of the heap nothing asks whether a failure is wanted: if failures can be injected
//! at all ([`enable`]), the CPUs keep no frames, blocks and stacks for themselves, so that each allocation comes by the
//! slow way, and the question is asked only there.
//!
//! A plan counts what is asked for, not what a caller notices: a heap that grows asks for frames too, and who does not
//! get a big page makes do with small ones.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use spin::Once;

use crate::error::NoMemory;

/// Whose allocations a plan counts.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Whose {
    /// Of all threads, and of the boot.
    Everybodys,
    /// Of the thread that calls [`arm`].
    Mine,
}

/// Everybody, in the place of the number of a thread. No thread is called so.
const EVERYBODY: i32 = -1;

/// Which allocations fail.
struct Plan {
    /// Of which thread. Stored last, and while `count` is 0 nothing fails.
    thread: AtomicI32,
    /// The first that fails, counted from 1.
    first: AtomicU32,
    /// How many fail, one after the other.
    count: AtomicU32,
    /// How many there have been.
    seen: AtomicU32,
    /// How many have failed.
    failed: AtomicU32,
}

static PLAN: Plan = Plan::new();
static IS_ENABLED: AtomicBool = AtomicBool::new(false);
static CURRENT_THREAD: Once<fn() -> i32> = Once::new();

/// Lets failures be injected: before `frame::init`.
pub fn enable() {
    // Relaxed: no other CPU runs yet.
    IS_ENABLED.store(true, Ordering::Relaxed);
}

/// Whether failures can be injected.
#[inline]
pub fn is_enabled() -> bool {
    // Relaxed: set at boot.
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Says how threads are told apart; once, when there are threads.
pub fn set_current_thread(current_thread: fn() -> i32) {
    CURRENT_THREAD.call_once(|| current_thread);
}

/// Makes a plan, in the place of the one before it: from now on `count` allocations fail, at least one, the first of
/// them being number `first`, counted from 1.
pub fn arm(whose: Whose, first: u32, count: NonZeroU32) {
    let thread = match whose {
        Whose::Everybodys => EVERYBODY,
        Whose::Mine => current_thread(),
    };
    PLAN.begin(thread, first, count);
}

/// Ends the plan, whoever made it, and returns how many allocations it has made fail. If it has ended before, says it
/// again.
pub fn disarm() -> u32 {
    PLAN.end()
}

/// One allocation is asked for, on a slow way.
///
/// # Errors
/// [`NoMemory`] if the plan wants it to fail.
#[inline]
pub fn point() -> Result<(), NoMemory> {
    if is_enabled() {
        PLAN.ask(current_thread)
    } else {
        Ok(())
    }
}

/// The thread that calls this; 0 before there are any.
fn current_thread() -> i32 {
    CURRENT_THREAD.get().map_or(0, |current| current())
}

impl Plan {
    const fn new() -> Plan {
        Plan {
            thread: AtomicI32::new(0),
            first: AtomicU32::new(0),
            count: AtomicU32::new(0),
            seen: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }

    /// Relaxed, here and below: one thread makes plans, and its own allocations come after; others count a few that
    /// came before or after the change, as they might have anyway.
    fn begin(&self, thread: i32, first: u32, count: NonZeroU32) {
        self.count.store(0, Ordering::Relaxed);
        self.seen.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
        self.first.store(first, Ordering::Relaxed);
        self.thread.store(thread, Ordering::Relaxed);
        self.count.store(count.get(), Ordering::Relaxed);
    }

    fn end(&self) -> u32 {
        self.count.store(0, Ordering::Relaxed);
        self.failed.load(Ordering::Relaxed)
    }

    #[cold]
    fn ask(&self, current_thread: impl FnOnce() -> i32) -> Result<(), NoMemory> {
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let thread = self.thread.load(Ordering::Relaxed);
        if thread != EVERYBODY && thread != current_thread() {
            return Ok(());
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let place = number.checked_sub(self.first.load(Ordering::Relaxed));
        if place.is_none_or(|place| place >= count) {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        Err(NoMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERYBODY, NonZeroU32, Plan};

    fn many(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    fn outcomes(plan: &Plan, thread: i32, len: usize) -> String {
        let letter = |_| {
            if plan.ask(|| thread).is_ok() {
                '.'
            } else {
                'x'
            }
        };
        (0..len).map(letter).collect()
    }

    #[test]
    fn as_many_fail_as_planned_from_the_first_on() {
        let plan = Plan::new();
        assert_eq!(outcomes(&plan, 5, 4), "....");
        plan.begin(5, 3, many(2));
        assert_eq!(outcomes(&plan, 5, 7), "..xx...");
        plan.begin(5, 1, NonZeroU32::MAX);
        assert_eq!(outcomes(&plan, 5, 3), "xxx");
        assert_eq!(plan.end(), 3);
        assert_eq!(outcomes(&plan, 5, 3), "...");
        assert_eq!(plan.end(), 3);
    }

    #[test]
    fn other_threads_are_neither_counted_nor_refused() {
        let plan = Plan::new();
        plan.begin(5, 2, many(1));
        assert_eq!(outcomes(&plan, 6, 3), "...");
        assert_eq!(outcomes(&plan, 5, 3), ".x.");
    }

    #[test]
    fn everybodys_allocations_are_counted_together() {
        let plan = Plan::new();
        plan.begin(EVERYBODY, 3, many(1));
        assert_eq!(outcomes(&plan, 5, 2) + &outcomes(&plan, 6, 2), "..x.");
    }
}
