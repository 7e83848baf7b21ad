//! What waits: none of it needs memory, so that none of it can fail for want of it.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::Sysno;
use ulib::failures::Plan;
use ulib::mapping::{MapRequest, Mapping};
use ulib::{Errno, MapFlags, futex, process};

use crate::sweep::{Attempt, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("sleep_ms", sleep, |_| {}).needs_nothing(),
    Operation::new("futex_wait", wait_for_word, |_| {}).needs_nothing(),
    Operation::new("waitpid", wait_for_child, |_| {}).needs_nothing(),
];

fn sleep(plan: Plan) -> Attempt {
    // SAFETY: the call touches no memory.
    unsafe { Attempt::call(plan, Sysno::SleepMs, [2, 0, 0, 0, 0, 0]) }
}

/// A child wakes it, again and again until it has been heard.
fn wait_for_word(plan: Plan) -> Attempt {
    let wait = || {
        let len = abi::layout::PAGE_SIZE;
        let memory = Mapping::new(&MapRequest::anonymous(len).flags(MapFlags::SHARED))?;
        let word = memory.words().first().ok_or(Errno::EINVAL)?.as_ptr();
        // SAFETY: half of an aligned word that both processes only use as an atomic.
        let word = unsafe { AtomicU32::from_ptr(word.cast()) };
        word.store(0, Ordering::Relaxed);
        let child = process::start(|| {
            while word.load(Ordering::Relaxed) == 0 {
                futex::wake(word, 1);
                process::sleep_ms(1);
            }
            0
        })?;
        let arguments = [word.as_ptr().addr(), 0, 0, 0, 0, 0];
        // SAFETY: the kernel only reads the word.
        let attempt = unsafe { Attempt::call(plan, Sysno::FutexWait, arguments) };
        word.store(1, Ordering::Relaxed);
        process::wait(child)?;
        Ok(attempt)
    };
    wait().unwrap_or_else(Attempt::not_begun)
}

fn wait_for_child(plan: Plan) -> Attempt {
    let wait = || {
        let child = process::start(|| 0)?;
        let arguments = [child as usize, 0, 0, 0, 0, 0];
        // SAFETY: nothing is stored.
        Ok(unsafe { Attempt::call(plan, Sysno::WaitPid, arguments) })
    };
    wait().unwrap_or_else(Attempt::not_begun)
}
