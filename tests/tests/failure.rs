//! What is left of a run that went wrong: a kernel panic, a program's fault, a hang.

use std::time::Duration;

use tests::{Boot, Run};

/// Each CPU's backtrace is there, with the names of functions.
#[track_caller]
fn assert_backtraces(run: &Run, cpus: usize) {
    for cpu in 0..cpus {
        run.assert_log_has(&[&format!("CPU {cpu}")]);
    }
    run.assert_log_has(&["    0x", "::", "+0x"]);
}

#[test]
fn a_kernel_panic_shows_where_each_cpu_was() {
    // CPU 1 panics while the others run `eve`, who would do so for ever.
    let run = Boot::program(&["eve"]).append("test=panic").run();
    run.assert_status(70)
        .assert_log_has(&["kernel panic on CPU 1"])
        .assert_console_has("kernel panic");
    assert!(run.messages().contains("the kernel panicked"), "{run}");
    assert_backtraces(&run, 4);
}

#[test]
fn a_hang_is_reported_with_where_each_cpu_was() {
    let run = Boot::program(&["eve"])
        .cpus(3)
        .deadline(Duration::from_secs(10))
        .run();
    assert_eq!(run.status(), None, "{run}");
    let report = run.to_string();
    for cpu in 0..3 {
        assert!(
            report.contains(&format!("CPU#{cpu}")),
            "QEMU's view of CPU {cpu} is missing\n{run}"
        );
    }
    assert_backtraces(&run, 3);
}

#[test]
fn a_fault_ends_the_program_with_a_line_that_says_what_and_where() {
    for (kind, class) in [
        ("missing", "missing page"),
        ("kernel", "privilege"),
        ("write", "permission"),
    ] {
        let run = Boot::program(&["fault", kind]).cpus(2).run();
        run.assert_status(128 + 11);
        run.assert_log_has(&["page fault", class, "address 0x", "instruction 0x"])
            .assert_console_has(class);
    }
}

#[test]
fn a_fault_stops_nothing_else() {
    // The runner starts programs that fault, and goes on.
    Boot::program(&["usertests"])
        .cpus(2)
        .deadline(Duration::from_secs(300))
        .run()
        .assert_status(0);
}
