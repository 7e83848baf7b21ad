//! The user shell and `init`, driven through a terminal; `ls`, `cat` and `hack`.

use tests::{Boot, Terminal};

const PROMPT: &str = "sh> ";
/// A job that lasts and writes nothing, which could get into the middle of what is typed.
const SLEEPER: &str = "spawn sleep &";

/// Boots to the kernel shell and starts the user shell from there.
#[track_caller]
fn at_user_prompt(cpus: usize) -> Terminal {
    let mut terminal = Boot::shell().cpus(cpus).at_prompt();
    terminal.type_line("urun");
    terminal.expect(PROMPT);
    terminal
}

/// Types a command for the user shell, and returns what was shown until its prompt came back.
#[track_caller]
fn answer(terminal: &mut Terminal, command: &str) -> String {
    terminal.type_line(command);
    // As it is typed, the line discipline shows it.
    terminal.expect(command);
    terminal.expect(PROMPT)
}

/// Types a command for the user shell, and then others until it has said before a prompt what `event` is about.
#[track_caller]
fn wait_to_be_told(terminal: &mut Terminal, command: &str, event: &str) {
    let mut shown = answer(terminal, command);
    // It may take a moment.
    for _ in 0..100 {
        if shown.contains(event) {
            return;
        }
        shown = answer(terminal, "hello");
    }
    panic!("the user shell should say: {event}");
}

/// The words of the row of `ps` or `threads` whose name is `name`.
fn row<'a>(list: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    list.lines()
        .map(words)
        .find(|words| words.last() == Some(&name))
}

#[test]
fn urun_starts_the_user_shell_and_exit_comes_back() {
    let mut terminal = at_user_prompt(2);
    let help = answer(&mut terminal, "help");
    for word in ["jobs", "kill", "exit", "|", "&"] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
    terminal.type_line("exit");
    terminal.expect_prompt();
    // A second one, which ends with the input and says how, since that is not with 0.
    terminal.type_line("urun");
    terminal.expect(PROMPT);
    answer(&mut terminal, "nosuch");
    terminal.type_keys("\x04");
    assert!(terminal.expect_prompt().contains("sh: exit code 127"));
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn urun_has_init_run_a_program_with_arguments() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let hello = terminal.answer("urun hello 'two words'");
    assert!(hello.contains("I was given: two words"), "{hello}");
    let failed = terminal.answer("urun spawn exit 42");
    assert!(failed.contains("spawn: exit code 42"), "{failed}");
    let nobody = terminal.answer("urun nosuch");
    assert!(nobody.contains("nosuch: no such file"), "{nobody}");
    terminal.type_line("urun eve");
    terminal.expect("I'm Eve");
    terminal.type_keys("\x03");
    let killed = terminal.expect_prompt();
    assert!(killed.contains("eve: killed by SIGINT"), "{killed}");
}

#[test]
fn what_a_user_shell_leaves_behind_is_a_child_of_init_which_forgets_it_when_it_ends() {
    let mut terminal = at_user_prompt(2);
    answer(&mut terminal, SLEEPER);
    terminal.type_line("exit");
    terminal.expect_prompt();
    let processes = terminal.answer("ps");
    let orphan = row(&processes, "spawn");
    let [pid, parent, ..] = orphan.as_deref().unwrap_or_default() else {
        panic!("the job is missing in\n{processes}");
    };
    assert_eq!(*parent, "1", "{processes}");
    let command = format!("urun sh -c 'kill {pid}'");
    terminal.answer(&command);
    // It may take a moment to die.
    let is_gone = (0..100).any(|_| row(&terminal.answer("ps"), "spawn").is_none());
    assert!(is_gone, "init should have forgotten the job");
}

#[test]
fn programs_get_their_words_and_say_how_they_ended() {
    let mut terminal = at_user_prompt(2);
    let hello = answer(&mut terminal, r#"hello 'a | b' "c & d" e\;f"#);
    for word in ["a | b", "c & d", "e;f"] {
        let line = format!("I was given: {word}");
        assert!(hello.contains(&line), "{line} is missing in\n{hello}");
    }
    assert!(!hello.contains("exit code"), "{hello}");
    let failed = answer(&mut terminal, "spawn exit 7");
    assert!(failed.contains("spawn: exit code 7"), "{failed}");
    let nobody = answer(&mut terminal, "nosuch");
    assert!(nobody.contains("nosuch: no such file"), "{nobody}");
    let senseless = answer(&mut terminal, "ls | | cat");
    assert!(senseless.contains("sh: |"), "{senseless}");
    // Two on a line, and backspace, which the kernel's line discipline understands.
    let both = answer(&mut terminal, "hello one; hello two");
    assert!(
        both.contains("I was given: one") && both.contains("I was given: two"),
        "{both}"
    );
    terminal.type_keys("hexx\x7f\x7fllo 3\r");
    terminal.expect("I was given: 3");
    terminal.expect(PROMPT);
}

/// Keys as a terminal sends them.
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";
const LEFT: &str = "\x1b[D";

/// Types these keys into the user shell and the return key, and returns what was shown until its prompt came back.
#[track_caller]
fn answer_to_keys(terminal: &mut Terminal, keys: &str) -> String {
    terminal.type_line(keys);
    terminal.expect(PROMPT)
}

#[test]
fn lines_are_edited_in_the_middle() {
    let mut terminal = at_user_prompt(2);
    // "hlo 1" becomes "hello 12".
    let keys = format!("hlo 1{LEFT}{LEFT}{LEFT}{LEFT}el{RIGHT}{RIGHT}{RIGHT}{RIGHT}2");
    let shown = answer_to_keys(&mut terminal, &keys);
    assert!(shown.contains("I was given: 12"), "{shown}");
    // Backspace in the middle; beyond either end there is nothing.
    let ends = [LEFT.repeat(20), RIGHT.repeat(20)];
    let keys = format!(
        "hexllo 34{LEFT}{LEFT}{LEFT}{LEFT}{LEFT}{LEFT}\x7f{}{}",
        ends[0], ends[1]
    );
    let shown = answer_to_keys(&mut terminal, &keys);
    assert!(shown.contains("I was given: 34"), "{shown}");
    // Ctrl-U takes back what is before the cursor.
    let keys = format!("nonsensehello 5{}\x15", LEFT.repeat(7));
    let shown = answer_to_keys(&mut terminal, &keys);
    assert!(shown.contains("I was given: 5"), "{shown}");
    // A tab is a blank, and nothing is completed.
    let shown = answer_to_keys(&mut terminal, "hello\tx");
    assert!(shown.contains("I was given: x"), "{shown}");
    // Too long: a bell for each key that finds no room.
    let long = answer_to_keys(&mut terminal, &format!("hello {}", "y".repeat(300)));
    let given = format!("I was given: {}\r", "y".repeat(255 - "hello ".len()));
    assert!(long.contains(&given), "{long}");
    // An unfinished escape sequence does not swallow the line.
    let shown = answer_to_keys(&mut terminal, "hello 6\x1b");
    assert!(shown.contains("I was given: 6"), "{shown}");
}

#[test]
fn earlier_lines_come_back_by_the_arrow_keys() {
    let mut terminal = at_user_prompt(2);
    for number in 1..=3 {
        answer(&mut terminal, &format!("hello {number}"));
    }
    let shown = answer_to_keys(&mut terminal, UP);
    assert!(shown.contains("I was given: 3"), "{shown}");
    // One too many, and back; then it is edited.
    let shown = answer_to_keys(&mut terminal, &format!("{UP}{UP}{UP}{DOWN}0"));
    assert!(shown.contains("I was given: 20"), "{shown}");
    // Forwards beyond the newest is the line that has not been typed yet.
    let shown = answer_to_keys(&mut terminal, &format!("{UP}{UP}{DOWN}{DOWN}{DOWN}hello 4"));
    assert!(shown.contains("I was given: 4"), "{shown}");
    // Other programs have the same keys, and the same lines.
    terminal.type_line("cat");
    terminal.expect("cat\r");
    terminal.type_line(&format!("frist{LEFT}{LEFT}{LEFT}\x7fi{RIGHT}\x7fr"));
    terminal.expect("\nfirst\r");
    terminal.type_line(UP);
    terminal.expect("first\r"); // as it is typed
    terminal.expect("\nfirst\r");
    terminal.type_keys("\x04");
    terminal.expect(PROMPT);
}

#[test]
fn control_c_takes_back_a_line_wherever_the_cursor_is_and_control_d_ends_an_empty_one() {
    let mut terminal = at_user_prompt(2);
    terminal.type_keys(&format!("hello 1{LEFT}{LEFT}\x03"));
    terminal.expect("^C");
    terminal.expect(PROMPT);
    let shown = answer_to_keys(&mut terminal, "hello 2");
    assert!(shown.contains("I was given: 2"), "{shown}");
    // Not empty: nobody ends. The rest of the line follows it.
    terminal.type_keys("hello\x04");
    let shown = answer_to_keys(&mut terminal, " 3");
    assert!(shown.contains("I was given: 3"), "{shown}");
    terminal.type_keys(&format!("x{LEFT}{RIGHT}\x7f\x04"));
    terminal.expect_prompt();
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn files_are_listed_and_shown_by_programs() {
    let mut terminal = at_user_prompt(1);
    let list = answer(&mut terminal, "ls");
    assert!(list.contains(" hello") && list.contains(" init"), "{list}");
    let symbols = answer(&mut terminal, "cat kernel.symbols");
    assert!(symbols.contains("pvh_entry"), "{symbols}");
    for command in ["ls /nosuch", "cat nosuch", "cat /"] {
        let refused = answer(&mut terminal, command);
        assert!(refused.contains("exit code 1"), "{command}: {refused}");
    }
}

#[test]
fn pipes_carry_what_one_program_writes_to_the_next() {
    let mut terminal = at_user_prompt(2);
    let list = answer(&mut terminal, "ls");
    let through_pipes = answer(&mut terminal, "ls | cat | cat | cat");
    assert_eq!(list, through_pipes);
    assert_eq!(answer(&mut terminal, "echo").trim(), "");
    let echoed = answer(&mut terminal, "echo 'one  word' and another | cat");
    assert_eq!(echoed.trim(), "one  word and another");
    // More than a pipe holds at once: 64 KiB.
    let long = answer(&mut terminal, "cat usertests kernel.symbols | cat | hello");
    assert!(
        long.contains("Hello from process") && !long.contains("pvh_entry"),
        "what hello does not read is not shown:\n{long}"
    );
    let symbols = answer(&mut terminal, "cat kernel.symbols kernel.symbols | cat");
    assert_eq!(symbols.matches(" pvh_entry").count(), 2);
    let nobody = answer(&mut terminal, "nosuch | cat");
    assert!(nobody.contains("nosuch: no such file"), "{nobody}");
}

#[test]
fn control_c_ends_what_is_in_the_foreground_and_nobody_else() {
    let mut terminal = at_user_prompt(3);
    answer(&mut terminal, SLEEPER);
    for command in ["eve", "eve | cat | cat", "cat"] {
        terminal.type_line(command);
        terminal.expect(command);
        if command == "eve" {
            terminal.expect("I'm Eve");
        }
        terminal.type_keys("\x03");
        let ended = terminal.expect(PROMPT);
        assert!(ended.contains("killed by SIGINT"), "{command}: {ended}");
    }
    // At the prompt it only takes back the line.
    terminal.type_keys("nonsense\x03");
    terminal.expect(PROMPT);
    let jobs = answer(&mut terminal, "jobs");
    assert!(jobs.contains("[1] running"), "{jobs}");
}

#[test]
fn jobs_run_on_are_listed_killed_and_told_before_the_next_prompt() {
    let mut terminal = at_user_prompt(2);
    let started = answer(&mut terminal, SLEEPER);
    let pid = started
        .split_once("[1] ")
        .and_then(|(_, rest)| rest.split_once(':'))
        .unwrap_or_else(|| panic!("no job in\n{started}"))
        .0
        .to_owned();
    let jobs = answer(&mut terminal, "jobs");
    assert!(
        jobs.contains("[1] running") && jobs.contains(&pid),
        "{jobs}"
    );
    let refused = answer(&mut terminal, "kill 1");
    assert!(refused.contains("kill: 1: "), "{refused}");
    let usage = answer(&mut terminal, &format!("kill {pid} SIGNONE"));
    assert!(usage.contains("usage: kill"), "{usage}");
    let event = "[1] ended, killed by SIGUSR1 (10): spawn sleep";
    wait_to_be_told(&mut terminal, &format!("kill {pid} usr1"), event);
    // A job has nothing to read: what is typed is the shell's.
    let event = "[1] ended, exit code 0: cat | cat";
    wait_to_be_told(&mut terminal, "cat | cat &", event);
    let jobs = answer(&mut terminal, "jobs");
    assert!(!jobs.contains("[1]"), "{jobs}");
}

#[test]
fn one_line_can_be_run_from_outside_and_its_status_is_the_shells() {
    let run = Boot::program(&[
        "sh",
        "-c",
        "hello a | cat; spawn exit 5 | cat; spawn exit 6",
    ])
    .cpus(2)
    .run();
    run.assert_status(6)
        .assert_console_has("I was given: a")
        .assert_console_has("spawn: exit code 5");
    let run = Boot::program(&["sh", "-c", "exit 9; hello"]).cpus(1).run();
    run.assert_status(9);
    assert!(!run.console().contains("Hello"), "{run}");
}

#[test]
fn hack_gets_at_nothing() {
    for cpus in [1, 2] {
        let run = Boot::program(&["hack"]).cpus(cpus).run();
        run.assert_status(0)
            .assert_console_has("reading the kernel's code: stopped, Privilege at 0x200000")
            .assert_console_has("writing the kernel's code: stopped, Privilege at 0x200000")
            .assert_console_has("executing the kernel's code: stopped, Privilege at 0x200000")
            .assert_console_has("cli (no timer any more): stopped, NotPageFault at 0x")
            .assert_console_has("hack: nothing is to be had here");
    }
}

#[test]
fn without_zeroing_hack_finds_the_secret_of_another() {
    let run = Boot::program(&["hack"]).cpus(2).append("break=zero").run();
    run.assert_program_failed()
        .assert_console_has("break=zero")
        .assert_console_has("has 'password'");
}
