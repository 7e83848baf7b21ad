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
    let run = Boot::program(&["eve"])
        .append("test=panic")
        .deadline(Duration::from_secs(30))
        .run();
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
fn a_fault_is_a_line_that_says_what_and_where_and_stops_nothing_else() {
    for (test, class) in [
        ("read_of_unmapped_memory", "missing page"),
        ("read_of_the_kernels_text", "privilege"),
        ("write_to_program_text", "permission"),
    ] {
        let run = Boot::program(&["usertests", test]).cpus(2).run();
        run.assert_status(0).assert_console_has(class);
        run.assert_log_has(&[
            "SIGSEGV",
            "page fault",
            class,
            "address 0x",
            "instruction 0x",
        ]);
    }
}
