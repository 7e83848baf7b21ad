//! Hundreds of threads at random, after which nothing is left.

use std::time::Duration;

use tests::Boot;

/// Virtual CPUs outnumber the host's, and what they have begun must come to its end.
const LONG: Duration = Duration::from_secs(120);

#[track_caller]
fn storm(cpus: usize, seed: &str, options: &str) {
    Boot::program(&["threadstorm", "3", seed])
        .cpus(cpus)
        .append(options)
        .deadline(LONG)
        .run()
        .assert_status(0)
        .assert_console_has("workers replaced");
}

#[test]
fn nothing_is_left_of_a_storm_on_one_cpu() {
    storm(1, "1", "");
}

#[test]
fn nothing_is_left_of_a_storm_on_four_cpus() {
    storm(4, "2", "");
}

#[test]
fn nothing_is_left_of_a_storm_on_eight_cpus_with_a_thousand_ticks_a_second() {
    storm(8, "3", "hz=1000");
}

#[test]
fn nothing_is_left_of_a_storm_with_deferred_shootdowns() {
    storm(4, "4", "shootdown=deferred");
}
