//! The kernel shell, driven through a terminal.

use tests::Boot;

#[test]
fn poweroff_ends_the_machine_with_0() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn help_names_every_command() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    let help = terminal.answer("help");
    let names: Vec<&str> = help
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for command in "help ls cat run urun shell threads ps cpus ases asis regions walk mem geometry shootdowns locks \
                    pagingtest selftest reboot poweroff"
        .split(' ')
    {
        assert!(names.contains(&command), "{command} is missing in\n{help}");
    }
}

#[test]
fn cpus_lists_each_cpu_with_its_apic() {
    let mut terminal = Boot::shell().cpus(3).at_prompt();
    let cpus = terminal.answer("cpus");
    for cpu in ["0", "1", "2"] {
        assert!(
            cpus.lines()
                .any(|line| line.split_whitespace().next() == Some(cpu)),
            "CPU {cpu} is missing in\n{cpus}"
        );
    }
    assert!(
        cpus.contains("APIC"),
        "the APICs' mode is missing in\n{cpus}"
    );
}

#[test]
fn a_program_runs_with_its_arguments_and_the_prompt_comes_back() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let hello = terminal.answer("run hello 'two words' three");
    assert!(hello.contains("Hello from process"), "{hello}");
    assert!(
        hello.contains("I was given: two words") && hello.contains("I was given: three"),
        "{hello}"
    );
}

#[test]
fn files_are_listed_and_shown() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    let list = terminal.answer("ls");
    assert!(list.contains("hello") && list.contains("init"), "{list}");
    let symbols = terminal.answer("cat kernel.symbols");
    assert!(symbols.contains("pvh_entry"), "{symbols}");
}

#[test]
fn what_does_not_exist_is_said() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    for command in ["nosuch", "run nosuch", "cat nosuch"] {
        let text = terminal.answer(command);
        assert!(
            text.contains("nosuch") || text.contains("no such"),
            "{command}: {text}"
        );
    }
}

#[test]
fn the_accounts_and_the_processes_are_shown() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let processes = terminal.answer("ps");
    assert!(processes.contains("init"), "{processes}");
    let memory = terminal.answer("mem");
    assert!(memory.contains("free"), "{memory}");
}

#[test]
fn threads_lists_each_entry_with_its_process_state_cpu_space_and_times() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let threads = terminal.answer("threads");
    let heading = "TID    PID STATE     CPU  SPACE   USER ms KERNEL ms  NAME";
    assert!(threads.contains(heading), "{threads}");
    for (name, state) in [("init", "blocked"), ("shell", "running")] {
        let row = threads.lines().find(|line| line.trim_end().ends_with(name));
        let words: Vec<&str> = row.unwrap_or("").split_whitespace().collect();
        let [tid, pid, found, cpu, space, user_ms, kernel_ms, _] = words[..] else {
            panic!("{name} is missing in\n{threads}");
        };
        assert!(tid == pid && found == state, "{threads}");
        for number in [cpu, space, user_ms, kernel_ms] {
            assert!(number.parse::<u64>().is_ok(), "{threads}");
        }
    }
}

#[test]
fn geometry_shows_each_level_of_the_page_table() {
    for (options, levels, bits, users) in [
        ("", 4, "48 bits", "[0xffff800000000000, "),
        ("la57=on", 5, "57 bits", "[0xff00000000000000, "),
    ] {
        let mut terminal = Boot::shell().cpus(1).append(options).at_prompt();
        let geometry = terminal.answer("geometry");
        assert!(
            geometry.contains(bits) && geometry.contains(users),
            "{geometry}"
        );
        let first_words = geometry
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let rows = first_words.filter(|word| word.len() == 1).skip(1);
        let expected = (1..=levels).rev().map(|level| level.to_string());
        assert!(rows.eq(expected), "{geometry}");
    }
}

#[test]
fn selftest_runs_all_tests_or_those_with_a_word() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let all = terminal.answer("selftest");
    assert!(
        all.contains(" tests passed") && !all.contains("FAILED"),
        "{all}"
    );
    let one = terminal.answer("selftest clock");
    assert!(one.contains("all 1 tests passed"), "{one}");
    let none = terminal.answer("selftest nosuch");
    assert!(none.contains("selftest: exit code 2"), "{none}");
}

#[test]
fn selftest_passes_and_fails_without_a_protection() {
    for (cpus, options) in [(1, ""), (4, "apic=xapic"), (4, "la57=on")] {
        Boot::program(&["selftest"])
            .cpus(cpus)
            .append(options)
            .run()
            .assert_status(0)
            .assert_console_has("every cpu protects the kernel: ok");
    }
    let run = Boot::program(&["selftest"]).append("break=zero").run();
    run.assert_program_failed()
        .assert_console_has("fresh frames are zero and nobody elses: FAILED");
}

#[test]
fn reboot_boots_the_machine_again() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let job = terminal.answer("urun sh -c 'spawn sleep &'");
    assert!(job.contains("[1]"), "{job}");
    terminal.type_line("reboot");
    terminal.expect("Argonaut on 2 CPUs.");
    terminal.expect_prompt();
    let processes = terminal.answer("ps");
    assert!(
        processes.contains("init") && !processes.contains("spawn"),
        "{processes}"
    );
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn a_line_can_be_edited_and_called_back() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    // Backspace takes back a character; left and right move.
    terminal.type_keys("run helxx\x7f\x7flo 1\x1b[D\x1b[D\x1b[C2 \r");
    terminal.expect("I was given: 2");
    terminal.expect("I was given: 1");
    terminal.expect_prompt();
    // Up shows the last line again.
    terminal.type_keys("\x1b[A\r");
    terminal.expect("I was given: 2");
    terminal.expect("I was given: 1");
    terminal.expect_prompt();
}

#[test]
fn the_keyboard_types_into_the_same_shell() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    terminal.press_keys(&["l", "s", "ret"]);
    assert!(terminal.expect_prompt().contains("kernel.symbols"));
    terminal.press_keys(&["p", "o", "w", "e", "r", "o", "f", "f", "ret"]);
    terminal.end().assert_status(0);
}

#[test]
fn control_c_goes_to_the_guest_and_control_a_x_ends_qemu() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    terminal.type_keys("nonsense\x03");
    terminal.expect_prompt();
    terminal.type_keys("\x01x");
    terminal.end().assert_status(3);
}

#[test]
fn control_c_ends_a_program_that_the_boot_line_names() {
    let mut terminal = Boot::program(&["eve"]).cpus(2).terminal();
    terminal.expect("I'm Eve");
    terminal.type_keys("\x03");
    terminal.expect("^C");
    // As a shell tells it: 128 + SIGINT.
    terminal.end().assert_status(130);
}

/// What is typed while a program runs that does not read it is the shell's; so is what comes before the kernel listens.
#[test]
fn commands_from_a_pipe_all_arrive() {
    let run = Boot::shell()
        .typed("run hello\nls\nrun hello\nrun spawn\npoweroff\n")
        .run();
    run.assert_status(0)
        .assert_console_has("argonaut> run spawn")
        .assert_console_has("argument 1: <child>");
    assert_eq!(run.console().matches("Hello from").count(), 2, "{run}");
}
