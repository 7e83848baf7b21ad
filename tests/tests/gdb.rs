//! gdb at a machine that waits for it: the guide's page about debugging, command by command.

use std::fs;

use tests::{Boot, gdb, root};

/// What the page has typed into gdb in the section with this heading, without comments.
fn typed_into_gdb(heading: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/debugging.md")).expect("the page is there");
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let typed = section.lines().filter_map(|line| {
        let typed = line.strip_prefix("(gdb) ")?;
        Some(typed.split("  #").next().unwrap_or(typed).trim().to_owned())
    });
    typed.collect()
}

#[track_caller]
fn assert_has(output: &str, parts: &[&str]) {
    for part in parts {
        assert!(output.contains(part), "there is no {part:?} in\n{output}");
    }
}

/// The line of `ps` about this program, word by word.
fn line_of<'a>(output: &'a str, program: &str) -> Vec<&'a str> {
    let lines = output.lines().map(|line| line.split_whitespace().collect());
    let mut lines = lines.filter(|words: &Vec<&str>| words.len() == 6 && words[5] == program);
    lines
        .next()
        .unwrap_or_else(|| panic!("there is no line about {program} in\n{output}"))
}

#[test]
fn processes_and_regions_are_shown_as_the_guide_says() {
    if !gdb::is_there() {
        return;
    }
    let mut commands = typed_into_gdb("gdb");
    for needed in ["continue", "ps", "regions 1"] {
        assert!(
            commands.iter().any(|command| command == needed),
            "{commands:?}"
        );
    }
    // The others of the kernel's own processes, and what there is not.
    commands.extend(["regions 2", "regions 99"].map(str::to_owned));
    let output = Boot::program(&["friends"]).debug(&commands);
    assert_has(&output, &["    ID    PID  PPID CPU STATE    NAME\n"]);
    let [init, friends, alice] = ["init", "friends", "alice"].map(|name| line_of(&output, name));
    // `init` waits for `friends`, which may still be on its way to wait for its children; Alice is the first to end,
    // which is where the machine has stopped.
    assert_eq!(
        (&init[..3], init[4]),
        (&["1", "1", "0"][..], "parked"),
        "{output}"
    );
    assert_eq!(friends[2], "1", "{output}");
    assert_eq!((alice[2], alice[4]), (friends[1], "awake"), "{output}");
    assert_has(
        &output,
        &[
            "[0xffff800000200000, 0x",
            ") r-x- file\n",
            "000) rw-- anonymous\n",
            "the map made at boot",
            "no process 99",
            "proc::exit::end_process (",
            "argonaut::syscall::dispatch (",
            "(CPU#3 [",
        ],
    );
}

#[test]
fn before_there_is_a_process_table_ps_says_so() {
    if !gdb::is_there() {
        return;
    }
    let commands = ["hbreak argonaut::main", "continue", "backtrace", "ps"].map(str::to_owned);
    let output = Boot::program(&["hello"]).cpus(1).debug(&commands);
    assert_has(
        &output,
        &[
            "argonaut::main (start_info=",
            "there is no process table yet",
        ],
    );
}

/// The program counter of the last page fault in a trace of `--trace-faults`.
fn last_fault(trace: &str) -> &str {
    let line = trace.lines().rfind(|line| line.contains(": v=0e "));
    let line = line.unwrap_or_else(|| panic!("there is no page fault in\n{trace}"));
    let (_, rest) = line.split_once(" pc=").expect("an entry has a pc");
    rest.split(' ').next().unwrap_or(rest)
}

#[test]
fn the_walk_through_the_boot_loop_finds_its_way() {
    if !gdb::is_there() {
        return;
    }
    let boot = Boot::program(&["hello"]).append("break=tables");
    let traced = boot.clone().option("--trace-faults").run();
    assert_eq!(traced.status(), Some(3), "{traced}");
    let trace = fs::read(root().join("target/argonaut/faults.log")).expect("the trace is there");
    let trace = String::from_utf8_lossy(&trace);
    let pc = last_fault(&trace);
    // As the guide reads it: a fetch by the kernel of what is not there, then the handlers' addresses.
    let first = format!("v=0e e=0010 i=0 cpl=0 IP=0008:{pc} pc={pc} SP=");
    assert_has(
        &trace,
        &[
            &first,
            &format!("CR2={pc}\n"),
            "check_exception old: 0xe new 0xe\n",
            "v=08 e=0000",
            "CR2=00000000000000e0",
            "check_exception old: 0x8 new 0xe\nTriple fault\n",
        ],
    );
    let typed = typed_into_gdb("A boot loop: the lab's task 0");
    assert!(typed.len() > 6, "{typed:?}");
    let commands = typed
        .iter()
        .map(|command| command.replace("PC", &format!("0x{pc}")));
    let output = boot.debug(&commands.collect::<Vec<_>>());
    // Before the load everything is mapped, and behind it nothing; one step more, and the machine is gone.
    let (before, after) = output.split_once("mov    %rax,%cr3").unwrap_or_else(|| {
        panic!("the load of CR3 is not where it should be\n{output}");
    });
    assert_has(before, &["argonaut::boot::memory::build_map"]);
    assert_has(after, &["0000000000000000-0000008000000000"]);
    // Which of the two gdb hears first is chance.
    let is_gone = ["exited normally", "Target disconnected"].map(|end| after.contains(end));
    assert!(is_gone.contains(&true), "{output}");
    let cr3: Vec<&str> = after
        .lines()
        .filter(|line| line.starts_with("cr3 "))
        .collect();
    assert!(cr3.len() == 2 && cr3[0] != cr3[1], "{output}");
}
