//! Signals: handlers, and processes that are killed whatever they do.

use std::time::Duration;

use tests::Boot;

const LONG: Duration = Duration::from_secs(300);

#[test]
fn handlers_return_with_all_registers_and_repair_faults() {
    for cpus in [1, 2, 4] {
        let run = Boot::program(&["signals"]).cpus(cpus).run();
        run.assert_status(0)
            .assert_console_has("refused with EAGAIN")
            .assert_console_has("MissingPage at 0xffffc00000000128")
            .assert_console_has("everything is as it should be");
    }
}

/// Ticks are 10 ms apart: ten signals that waited for the next one each would take ten times that. Counted in
/// instructions, which repeat exactly.
#[test]
fn a_signal_interrupts_another_cpu_without_waiting_for_a_tick() {
    let run = Boot::program(&["signals"])
        .cpus(2)
        .option("--icount")
        .deadline(LONG)
        .run();
    run.assert_status(0);
    let (_, rest) = run
        .console()
        .split_once("has taken 10 signals, one by one, in ")
        .unwrap_or_else(|| panic!("no duration\n{run}"));
    let microseconds = rest.split(' ').next().and_then(|word| word.parse().ok());
    let microseconds: u64 = microseconds.unwrap_or_else(|| panic!("no number\n{run}"));
    assert!(microseconds < 30_000, "{microseconds} microseconds\n{run}");
}

#[test]
fn killed_processes_leave_nothing_whatever_they_were_doing() {
    for cpus in [1, 2, 4] {
        Boot::program(&["killdemo", "6"])
            .cpus(cpus)
            .run()
            .assert_status(0)
            .assert_console_has("all have gone");
    }
    Boot::program(&["killdemo", "6"])
        .cpus(4)
        .append("hz=1000")
        .run()
        .assert_status(0);
}

#[test]
fn control_c_calls_a_handler_of_a_program_that_spins_and_of_one_that_reads() {
    let mut terminal = Boot::program(&["signals", "wait"]).cpus(2).terminal();
    terminal.expect("I spin until you press Ctrl-C.");
    terminal.type_keys("\x03");
    terminal.expect("I wait for a line until you press Ctrl-C.");
    terminal.type_keys("\x03");
    terminal.expect("ended with EINTR");
    terminal.end().assert_status(0);
}
