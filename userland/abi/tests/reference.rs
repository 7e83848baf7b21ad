//! The reference of system calls, `docs/system-calls.md`, is what this makes of the crate's tables.
//!
//! `BLESS=1 cargo test -p abi --test reference` writes the page anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use abi::{
    Errno, ErrnoSet, FaultKind, Flag, MapFlags, OpenFlags, PageState, Protection, Signal,
    SystemCall, TABLE, WaitFlags, layout,
};

const INTRODUCTION: &str = "\
# System calls

This page is made from the tables in [userland/abi](../userland/abi/src/calls.rs), which the kernel and the programs' library are
made from too; a test compares them (`userland/abi/tests/reference.rs`).

A program asks with the `syscall` instruction: the call's number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`, the result in
`rax`; `rcx` and `r11` are lost, all other registers are kept. A result from -1 to -4095 is an [error](#errors). [How a system call
travels](how-a-system-call-travels.md) follows one of them. Types are given as Rust spells them; each argument fills one register, `Pid` is an
`i32`, and a pointer is a user's claim, which the kernel checks.
";

#[test]
fn the_page_of_system_calls_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/system-calls.md");
    let expected = page();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    let first = (found.lines().zip(expected.lines())).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "docs/system-calls.md is not up to date, first at {first:?}: BLESS=1 cargo test -p abi --test reference"
    );
}

#[test]
fn every_error_that_a_call_names_is_one() {
    for call in &TABLE {
        let lines = call.documentation.iter();
        let quoted = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
        for name in quoted.filter(|word| is_error_name(word)) {
            let is_error = Errno::ALL.iter().any(|errno| errno.name() == Some(name));
            assert!(is_error, "{name}, of {}", call.name);
        }
    }
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    index(&mut page);
    for call in &TABLE {
        describe(&mut page, call);
    }
    errors(&mut page);
    page.push_str("\n## Flags\n\nFlags that stand for the same argument are added.\n");
    flags(
        &mut page,
        "`open`, its flags: one of the first three, and any of the others",
        OpenFlags::TABLE,
    );
    flags(
        &mut page,
        "`map` and `protect`, `protection`",
        Protection::TABLE,
    );
    flags(&mut page, "`map`, its flags", MapFlags::TABLE);
    flags(&mut page, "`mapping`, `page`", PageState::TABLE);
    flags(&mut page, "`waitpid`, its flags", WaitFlags::TABLE);
    signals(&mut page);
    addresses(&mut page);
    page
}

/// A table of all calls, with the first sentence of each one's documentation.
fn index(page: &mut String) {
    page.push_str("\n| number | call | |\n|---|---|---|\n");
    for call in &TABLE {
        let text = joined(call.documentation);
        let first = text.split_inclusive(". ").next().unwrap_or_default();
        let (number, name) = (call.number.number(), call.name);
        writeln!(
            page,
            "| {number} | [`{name}`](#{name}) | {} |",
            first.trim_end()
        )
        .unwrap();
    }
}

fn describe(page: &mut String, call: &SystemCall) {
    let arguments: Vec<String> = (call.arguments.iter())
        .map(|argument| format!("{}: {}", argument.name, argument.kind))
        .collect();
    let (number, name) = (call.number.number(), call.name);
    write!(
        page,
        "\n## {name}\n\nCall {number}: `{name}({}) -> {}`\n\n",
        arguments.join(", "),
        call.result
    )
    .unwrap();
    for line in call.documentation {
        writeln!(page, "{}", line.trim()).unwrap();
    }
}

fn errors(page: &mut String) {
    page.push_str(
        "\n## Errors\n\nLinux's numbers and names. A call that is not there is `ENOSYS`.\n\n",
    );
    page.push_str("| number | name | meaning | see |\n|---|---|---|---|\n");
    let calls = calls_by_error();
    for errno in Errno::ALL {
        let name = errno.name().unwrap_or_default();
        let by = calls.get(name).map(|calls| {
            let links: Vec<String> = calls
                .iter()
                .map(|call| format!("[`{call}`](#{call})"))
                .collect();
            links.join(" ")
        });
        let (number, by) = (errno.number(), by.unwrap_or_default());
        writeln!(page, "| {number} | `{name}` | {errno} | {by} |").unwrap();
    }
}

/// The calls by the names of the errors that they can have.
fn calls_by_error() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut calls = BTreeMap::<_, Vec<_>>::new();
    for call in &TABLE {
        for errno in call.errors().without(ErrnoSet::EMPTY) {
            let name = errno.name().unwrap_or_default();
            calls.entry(name).or_default().push(call.name);
        }
    }
    calls
}

/// Flags begin with an E too, but only one of them: `EAGER`.
fn is_error_name(word: &str) -> bool {
    let is_name = word
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    word.len() >= 3 && word.starts_with('E') && is_name && word != "EAGER"
}

fn flags(page: &mut String, title: &str, flags: &[Flag]) {
    write!(page, "\n{title}:\n\n| flag | value | |\n|---|---|---|\n").unwrap();
    for Flag {
        name,
        bits,
        documentation,
    } in flags
    {
        let meaning = joined(documentation);
        // Links of the code's own documentation lead nowhere here.
        let meaning = meaning.replace(['[', ']'], "");
        writeln!(page, "| `{name}` | {bits:#x} | {meaning} |").unwrap();
    }
}

fn signals(page: &mut String) {
    let most = Signal::MAX;
    write!(
        page,
        "\n## Signals\n\nLinux's numbers and names, 1 to {most}; a signal without a name can be sent too.\n\n\
         | number | name | |\n|---|---|---|\n"
    )
    .unwrap();
    for signal in Signal::NAMED {
        let (number, name) = (signal.number(), signal.name());
        writeln!(page, "| {number} | `{name}` | {} |", signal.meaning()).unwrap();
    }
    page.push_str("\nThe third argument of a handler, the kind of the fault:\n\n| number | kind |\n|---|---|\n");
    for kind in (0..).map_while(FaultKind::from_number) {
        writeln!(page, "| {} | `{kind:?}` |", kind.number()).unwrap();
    }
}

fn addresses(page: &mut String) {
    page.push_str("\n## Addresses\n\n| what | where |\n|---|---|\n");
    for (what, address) in [
        ("user space begins (4 levels)", layout::USER_START),
        ("user space begins (5 levels)", layout::USER_START_5_LEVEL),
        (
            "the lowest that the stack can come to have",
            layout::STACK_BOTTOM,
        ),
        ("the stack ends", layout::STACK_TOP),
        ("programs are linked", layout::PROGRAM_BASE),
        ("`ulib` puts the heap", layout::HEAP_BASE),
        ("user space ends", layout::USER_END),
    ] {
        writeln!(page, "| {what} | `{address:#x}` |").unwrap();
    }
}

/// Lines of documentation as one.
fn joined(lines: &[&str]) -> String {
    let words: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    words.join(" ").trim().to_owned()
}
