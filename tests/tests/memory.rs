//! Address spaces on several CPUs: what the kernel takes away is gone everywhere.

use std::time::Duration;

use tests::Boot;

const LONG: Duration = Duration::from_secs(300);

#[test]
fn a_stack_grows_and_ends_at_its_limit_and_at_a_guard_gap() {
    for cpus in [1, 4] {
        let run = Boot::program(&["recurse"]).cpus(cpus).run();
        run.assert_status(0)
            .assert_console_has("its limit")
            .assert_console_has("the guard gap");
    }
}

#[test]
fn no_cpu_writes_by_a_translation_that_has_been_taken_away() {
    for cpus in [1, 2, 4, 8] {
        let run = Boot::program(&["shootdown"])
            .cpus(cpus)
            .deadline(LONG)
            .run();
        run.assert_status(0)
            .assert_console_has("none by an old translation");
    }
    let boot = || Boot::program(&["shootdown"]).cpus(3).deadline(LONG);
    boot().cpu_model("max,-x2apic").run().assert_status(0);
    boot().append("la57=on").run().assert_status(0);
}

#[test]
fn telling_every_cpu_every_time_is_right_too() {
    let boot = |program| Boot::program(&[program]).append("shootdown=broadcast");
    boot("shootdown")
        .cpus(4)
        .deadline(LONG)
        .run()
        .assert_status(0);
    boot("usertests")
        .cpus(2)
        .deadline(LONG)
        .run()
        .assert_status(0);
}

/// What a plain unmap gives up then is that other CPUs notice at once; not that a frame has one owner.
#[test]
fn deferring_lets_a_writer_go_on_but_never_into_somebody_elses_memory() {
    let boot = |words: &[&str]| {
        Boot::program(words)
            .append("shootdown=deferred")
            .deadline(LONG)
    };
    boot(&["hunt", "2000"])
        .cpus(4)
        .run()
        .assert_status(0)
        .assert_console_has("no foreign pattern");
    // All but the two that expect the very next access to fail.
    let all_but = [
        "usertests",
        "-a_thread_cannot_write_what_another_one_has_unmapped",
        "-a_thread_cannot_read_what_another_one_has_unmapped",
    ];
    boot(&all_but).cpus(4).run().assert_status(0);
    // It ends with the first that does.
    boot(&["shootdown", "100000"])
        .cpus(4)
        .run()
        .assert_program_failed()
        .assert_console_has("has written to the page after it was unmapped");
    // A tick is much shorter, but the host may give a CPU its turn late.
    boot(&["shootdown", "--late-ms", "10000"])
        .cpus(4)
        .run()
        .assert_status(0);
}

/// The rounds are those that the kernel has to pass each time it changes.
#[test]
fn nobody_finds_another_owners_pattern_in_memory_of_his_own() {
    for (cpus, rounds) in [(2, "100000"), (4, "2000")] {
        Boot::program(&["hunt", rounds])
            .cpus(cpus)
            .deadline(LONG)
            .run()
            .assert_status(0)
            .assert_console_has("no foreign pattern");
    }
}

/// Counted in instructions, which repeat exactly.
#[test]
fn what_a_fork_costs_does_not_grow_with_the_memory() {
    let run = Boot::program(&["bench", "fork_exit_wait", "fork_exit_wait_16MiB"])
        .cpus(1)
        .option("--icount")
        .release()
        .deadline(LONG)
        .run();
    run.assert_status(0);
    let cost = |row: &str| -> f64 {
        let words = run.console().lines().map(|line| line.split_whitespace());
        let mut values = words.filter_map(|mut words| match (words.next(), words.next()) {
            (Some("BENCH"), Some(name)) if name == row => words.next()?.parse().ok(),
            _ => None,
        });
        values
            .next()
            .unwrap_or_else(|| panic!("no row {row}\n{run}"))
    };
    let (small, large) = (cost("fork_exit_wait"), cost("fork_exit_wait_16MiB"));
    assert!(
        large <= 1.4 * small,
        "{small} alone, {large} with 16 MiB\n{run}"
    );
}

#[track_caller]
fn assert_shows(shown: &str, words: &[&str]) {
    for word in words {
        assert!(shown.contains(word), "{word} is missing in\n{shown}");
    }
}

/// A row of the kernel shell's `locks`: rank, acquisitions, contended, spins.
fn lock_row(line: &str) -> Option<(&str, u64, u64)> {
    let mut words = line.split_whitespace();
    words.next()?.parse::<u16>().ok()?;
    let rank = words.next()?;
    let [acquisitions, contended] = [words.next()?, words.next()?].map(|word| word.parse().ok());
    Some((rank, acquisitions?, contended?))
}

#[test]
fn processes_that_share_nothing_wait_for_no_lock_of_each_others() {
    const CPUS: usize = 4;
    let boot = Boot::shell().cpus(CPUS).append("locks=on");
    let mut terminal = boot.release().at_prompt();
    // Pools are filled first.
    terminal.answer("run faultstorm 20");
    terminal.answer("locks reset");
    let ran = terminal.answer("run faultstorm 1000");
    assert_shows(&ran, &["4 processes, 1000 rounds"]);
    let shown = terminal.answer("locks");
    let rows: Vec<_> = shown.lines().filter_map(lock_row).collect();
    // Each round has a fork and an exit: a table that counts nothing shows nothing.
    let is_counting = |&(rank, taken, _): &(&str, u64, u64)| rank == "PtableSlot" && taken > 4000;
    assert!(rows.iter().any(is_counting), "{shown}");
    for (rank, _, contended) in rows {
        let tolerated = match rank {
            // The refill of a CPU's own frames.
            "FramesPool" => u64::MAX,
            // The shell and what watches the keyboard; the processes write nothing.
            "ConsoleOutput" => u64::MAX,
            // The processes have one parent, which starts them all at once; and all wake it when they end.
            "WaitQueue" | "FamilyParent" | "Family" | "RunQueue" | "Heap" => CPUS as u64,
            _ => 0,
        };
        assert!(contended <= tolerated, "{rank} was waited for\n{shown}");
    }
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}
