//! What the program `threads` shows, and `crowd` of a full process table.

use tests::{Boot, Run};

fn run(cpus: usize) -> Run {
    Boot::program(&["threads"]).cpus(cpus).run()
}

/// What is shown on any number of CPUs.
#[track_caller]
fn assert_is_complete(run: &Run) {
    run.assert_status(0)
        .assert_console_has("has returned 100; joined by polling")
        .assert_console_has("has exited with 101; joined by waiting")
        .assert_console_has("refused: joining one that has been joined (ESRCH)")
        .assert_console_has("refused: joining the thread itself (EDEADLK)")
        .assert_console_has("refused: joining one of another process (ESRCH)")
        .assert_console_has("20 rounds, 20 leaders")
        .assert_console_has("all wanted it done, 1 did it")
        .assert_console_has("total 549756338176")
        .assert_console_has("thread 0 has found 100 at fs:0")
        .assert_console_has("thread 1 has found 200 at fs:0")
        .assert_console_has("All is as it should be.");
}

#[test]
fn threads_on_one_cpu() {
    let run = run(1);
    assert_is_complete(&run);
    run.assert_console_has("make 2000")
        .assert_console_has("take turns: 1 0")
        .assert_console_has("thread 1 on CPU 0: 524289 to 1048576 make 412317122560");
}

#[test]
fn threads_on_four_cpus() {
    let run = run(4);
    assert_is_complete(&run);
    run.assert_console_has("make 4000")
        .assert_console_has("take turns: 3 2 1 0")
        .assert_console_has("thread 3 on CPU 3: 786433 to 1048576 make 240518299648");
}

#[test]
fn each_call_that_needs_an_entry_is_refused_with_a_full_table_and_works_again() {
    for (cpus, entries) in [(1, 32), (4, 200)] {
        let run = Boot::program(&["crowd"])
            .cpus(cpus)
            .append(&format!("table={entries}"))
            .run();
        let in_use = format!("{} of {entries} entries in use", entries - 1);
        run.assert_status(0)
            .assert_console_has(&in_use)
            .assert_console_has("each call was refused, and works again");
    }
}

#[test]
fn a_table_too_small_for_the_kernel_is_refused() {
    let run = Boot::program(&["hello"]).append("table=31").run();
    run.assert_status(70).assert_log_has(&["table=31"]);
}
