//! Waits, while the watchdog is told that a device takes its time: in a process of its own, since that concerns all.

use std::time::{Duration, Instant};

use smp::wait::SpinWait;
use smp::watchdog;

const LONG: Duration = Duration::from_millis(50);

#[test]
fn a_wait_is_as_long_as_it_is_although_the_watchdog_excuses_it() {
    let begin = Instant::now();
    let mut wait = SpinWait::new();
    while begin.elapsed() < 2 * LONG {
        watchdog::excuse();
        assert!(wait.turn(), "no bound has passed");
    }
    assert!(wait.waited_ns() >= LONG.as_nanos() as u64);
}
