//! What the kernel shell shows of address spaces, and its own test of them.

use tests::{Boot, Terminal};

/// The words of the first line of `text` that has the word `name`.
#[track_caller]
fn line_with<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let words = |line: &'t str| line.split_whitespace().collect::<Vec<_>>();
    let lines: Vec<Vec<&str>> = text.lines().map(words).collect();
    lines
        .into_iter()
        .find(|words| words.contains(&name))
        .unwrap_or_else(|| panic!("{name} is missing in\n{text}"))
}

/// The place of the word `name` in the heading of a table.
#[track_caller]
fn column(text: &str, name: &str) -> usize {
    let heading = text.lines().find(|line| line.contains(name));
    heading
        .and_then(|line| line.split_whitespace().position(|word| word == name))
        .unwrap_or_else(|| panic!("no column {name} in\n{text}"))
}

/// Runs `pagingtest` twice, and looks that every check has passed and nothing is lost.
#[track_caller]
fn pagingtest(boot: Boot) {
    let mut terminal = boot.at_prompt();
    for _ in 0..2 {
        let text = terminal.answer("pagingtest");
        let is_check = |line: &&str| line.contains(": ok");
        let count = text.lines().filter(is_check).count();
        assert!(
            text.contains(&format!("pagingtest: all {count} checks passed")),
            "{count} lines say ok in\n{text}"
        );
        assert!(count >= 20, "only {count} checks in\n{text}");
        assert!(
            text.contains("pagingtest: every frame has been given back"),
            "{text}"
        );
        for check in [
            "reading an undefined address: ok, stopped: missing page",
            "reading a removed region: ok, stopped: missing page",
            "writing a read-only region that was touched: ok, stopped: permission",
            "executing a region that is not executable: ok, stopped: permission",
        ] {
            assert!(text.contains(check), "{check} is missing in\n{text}");
        }
        for class in ["missing page", "permission", "privilege"] {
            let stopped = format!("stopped: {class}");
            assert!(text.contains(&stopped), "{stopped} is missing in\n{text}");
        }
    }
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn pagingtest_passes_and_gives_everything_back() {
    pagingtest(Boot::shell().cpus(2));
}

#[test]
fn pagingtest_passes_with_five_levels() {
    pagingtest(Boot::shell().cpus(2).append("la57=on"));
}

#[test]
fn the_kinds_of_address_spaces_are_listed() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    let kinds = terminal.answer("asis");
    for kind in ["base", "paging"] {
        assert_eq!(line_with(&kinds, kind)[0], kind, "{kinds}");
    }
}

#[test]
fn the_live_spaces_come_and_go_with_those_who_are_in_them() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let spaces = |terminal: &mut Terminal| terminal.answer("ases");
    let first = spaces(&mut terminal);
    let kind = column(&first, "KIND");
    assert_eq!(line_with(&first, "screen")[kind], "base", "{first}");
    for name in ["init", "shell"] {
        assert_eq!(line_with(&first, name)[kind], "paging", "{first}");
    }
    terminal.answer("shell");
    let second = spaces(&mut terminal);
    assert_eq!(
        second.lines().count(),
        first.lines().count() + 1,
        "{second}"
    );
    terminal.answer("exit");
    let third = spaces(&mut terminal);
    assert_eq!(third.lines().count(), first.lines().count(), "{third}");
}

#[test]
fn processes_and_cpus_are_shown_with_their_space() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let processes = terminal.answer("ps");
    let space = column(&processes, "SPACE");
    let [screen, init, shell] =
        ["screen", "init", "shell"].map(|name| line_with(&processes, name)[space]);
    assert_eq!(screen, "0", "{processes}");
    assert!(init != "0" && shell != "0" && init != shell, "{processes}");
    let cpus = terminal.answer("cpus");
    // From behind: the space, the number of the thread, its name.
    let running = line_with(&cpus, "shell");
    assert_eq!(running[running.len() - 3], shell, "{cpus}");
}

#[test]
fn regions_are_shown_with_their_rights_backing_and_what_is_mapped() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    let regions = terminal.answer("regions 1");
    for expected in [
        "rw-- grow-down to 0xffff8000001bf000 anonymous: ",
        "[0xffff800000200000, ",
        "r-x- private file 0x",
        " x 4K",
    ] {
        assert!(regions.contains(expected), "{expected} in\n{regions}");
    }
    let processes = terminal.answer("ps");
    let shell = line_with(&processes, "shell")[column(&processes, "PID")];
    let own = terminal.answer(&format!("regions {shell}"));
    let has_line = |words: &str| own.lines().any(|line| line.contains(words));
    assert!(
        has_line("rw-k eager anonymous: 16 x 4K") && has_line("rw-k anonymous: nothing"),
        "a shell has an eager and a lazy region of its own:\n{own}"
    );
    let nobodys = terminal.answer("regions 999");
    assert!(nobodys.contains("no such process"), "{nobodys}");
}

#[test]
fn what_each_cpu_has_done_for_shootdowns_is_counted() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    terminal.answer("run threadstorm 1");
    let counts = terminal.answer("shootdowns");
    for column in ["SENT", "TARGETS", "AVOIDED"] {
        let at = self::column(&counts, column);
        let sum: u64 = line_with(&counts, "all")[at].parse().unwrap();
        assert!(sum > 0, "{column} of all in\n{counts}");
    }
}

/// The levels that a walk shows, from the root down.
fn levels(walk: &str) -> Vec<u32> {
    let level = |line: &str| line.strip_prefix("level ")?.split(' ').next()?.parse().ok();
    walk.lines().filter_map(level).collect()
}

#[test]
fn a_walk_shows_each_entry_down_to_a_page_or_a_hole() {
    for (options, expected) in [("", vec![4, 3, 2, 1]), ("la57=on", vec![5, 4, 3, 2, 1])] {
        let mut terminal = Boot::shell().cpus(1).append(options).at_prompt();
        // The first page of the program has its text, which has run.
        let page = terminal.answer("walk 1 0xffff800000200000");
        assert_eq!(levels(&page), expected, "{page}");
        let last = line_with(&page, &expected.len().to_string());
        assert!(last.contains(&"table"), "{page}");
        let leaf = line_with(&page, "page");
        assert!(
            ["PRESENT", "USER"].iter().all(|word| leaf.contains(word)) && !leaf.contains(&"WRITE"),
            "text may be read and executed only:\n{page}"
        );
        // Nobody has touched what lies between the root's second entry for users and its last.
        let hole = terminal.answer("walk 1 0xffffc00000000000");
        assert!(hole.contains("nothing"), "{hole}");
        assert!(levels(&hole).len() < expected.len(), "{hole}");
    }
}

#[test]
fn a_walk_refuses_what_is_no_process_or_no_address() {
    let mut terminal = Boot::shell().cpus(1).at_prompt();
    let nobodys = terminal.answer("walk 999 0");
    assert!(nobodys.contains("no such process"), "{nobodys}");
    let nowhere = terminal.answer("walk 1 nonsense");
    assert!(nowhere.contains("walk: "), "{nowhere}");
}
