//! The watchdog blames nobody who is not stuck. (That it finds who is: planted_faults.rs.)

use std::thread;
use std::time::Duration;

use tests::Boot;

/// Longer than any CPU may be silent with `watchdog=1`.
const LONG: Duration = Duration::from_secs(4);

#[test]
fn idle_cpus_are_not_stuck() {
    let mut terminal = Boot::shell().append("watchdog=1").at_prompt();
    thread::sleep(LONG);
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn more_busy_cpus_than_the_host_has_are_not_stuck() {
    Boot::program(&["threadstorm", "5", "6"])
        .cpus(8)
        .append("watchdog=2")
        .run()
        .assert_status(0);
}

#[test]
fn nobody_is_stuck_because_the_host_has_stopped_the_machine() {
    let storm = Boot::program(&["threadstorm", "4", "7"]).append("watchdog=1");
    for profile in [Boot::release, |boot| boot] {
        let mut terminal = profile(storm.clone()).terminal();
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(1));
            terminal.stop_for(LONG);
        }
        terminal.end().assert_status(0);
    }
}

/// More than a pipe holds: the machine waits for the reader, and a CPU that wants to write too waits for the line's
/// lock. What the two programs write is mixed, so a text of one piece is looked for.
#[test]
fn nobody_is_stuck_because_the_reader_of_the_console_pauses() {
    for profile in [Boot::release, |boot| boot] {
        let shouting = "cat kernel.symbols & cat kernel.symbols; hello all";
        let shouting = Boot::program(&["sh", "-c", shouting]).append("watchdog=1");
        let run = profile(shouting).reader_pauses(2 * LONG).run();
        run.assert_status(0).assert_console_has("I was given: all");
    }
}
