//! Where the kernel and a program begin, and who may go there: in the log, and in the kernel shell.

use tests::Boot;

/// The mapping that a line tells of `what`: what stands behind its address.
#[track_caller]
fn mapping<'a>(text: &'a str, start: &str, what: &str) -> &'a str {
    let line = text
        .lines()
        .find(|line| line.contains(start) && line.contains(what));
    let mapping = line.and_then(|line| line.split_once(" -> "));
    mapping
        .unwrap_or_else(|| panic!("{start}: {what} is missing in\n{text}"))
        .1
        .trim()
}

#[test]
fn the_log_has_three_addresses_before_and_after_set_up() {
    let run = Boot::program(&["hello"]).cpus(2).run();
    run.assert_status(0);
    for start in ["before set-up of init", "after set-up of init"] {
        let mapping = |what| mapping(run.log(), start, what);
        assert!(mapping("kernel entry point").ends_with(" r-xk"), "{run}");
        assert!(mapping("kernel page table").ends_with(" rw-k"), "{run}");
        assert_eq!(mapping("program's entry"), "nothing", "{run}");
    }
}

#[test]
fn the_shell_shows_them_for_a_process_that_runs() {
    let mut terminal = Boot::shell().cpus(2).at_prompt();
    let answer = terminal.answer("mappings");
    let (kernel, process) = answer
        .split_once("In that of process 1, init:")
        .unwrap_or_else(|| panic!("{answer}"));
    for half in [kernel, process] {
        assert!(mapping(half, "", "kernel entry point").ends_with(" r-xk"));
        assert!(mapping(half, "", "kernel page table").ends_with(" rw-k"));
    }
    assert_eq!(mapping(kernel, "", "program's entry"), "nothing");
    assert!(mapping(process, "", "program's entry").ends_with(" r-x-"));
    let refused = terminal.answer("mappings 9999");
    assert!(refused.contains("no such process"), "{refused}");
}
