//! The guide does not rot: its commands do what it says, its links lead somewhere, and its summary has all pages.

use std::collections::BTreeSet;
use std::time::Duration;

use tests::guide::{GuideCommand, Promise, pages};
use tests::{Boot, root};

/// A command that is to stay up is looked at for so long.
const A_LOOK: Duration = Duration::from_secs(8);
/// A broken program that is not over then never will be.
const A_HANG: Duration = Duration::from_secs(30);
/// Some commands of the guide run for minutes.
const LONG: Duration = Duration::from_secs(600);

/// Words of commands that take longer than a moment: measurements, storms and long series, and what does not end.
const SLOW: [&str; 13] = [
    "bench",
    "hunt",
    "grind",
    "--rounds",
    "forkstorm",
    "threadstorm",
    "faultstorm",
    "failalloc",
    "allocator",
    "forkexit",
    "shootdown",
    "--gdb",
    "--display",
];

/// The commands of all pages, each once.
fn commands() -> Vec<GuideCommand> {
    let mut known = BTreeSet::new();
    let all = pages().into_iter().flat_map(|page| page.commands());
    all.filter(|command| known.insert(command.words.clone()))
        .collect()
}

/// Whether a command is over in a moment.
fn is_quick(command: &GuideCommand) -> bool {
    let is_slow = |word: &String| SLOW.contains(&word.as_str());
    let is_everything = command.words.last().is_some_and(|word| word == "usertests");
    command.promise == Promise::Passes && !command.words.iter().any(is_slow) && !is_everything
}

/// Runs a command with the kernel that users boot, and says what is not as promised.
fn check(command: &GuideCommand) -> Result<(), String> {
    let Some(boot) = Boot::from_words(&command.words) else {
        return Ok(());
    };
    let deadline = match command.promise {
        Promise::Passes => LONG,
        Promise::Fails => A_HANG,
        Promise::StaysUp => A_LOOK,
    };
    let run = boot.deadline(deadline).run();
    let is_kept = match command.promise {
        Promise::Passes => run.status() == Some(0),
        // What fails is the program, or what a break switch has broken: a switch that does not exist is a panic.
        Promise::Fails => {
            let is_broken = run.log().contains("BREAK SWITCH");
            run.status() != Some(0) && (run.booted().is_some() || is_broken)
        }
        Promise::StaysUp => run.status().is_none(),
    };
    match is_kept {
        true => Ok(()),
        false => Err(format!(
            "{}: `{}` {:?} not\n{run}",
            command.page, command.text, command.promise
        )),
    }
}

#[track_caller]
fn check_all(commands: impl Iterator<Item = GuideCommand>) {
    let failures: Vec<String> = commands
        .filter_map(|command| check(&command).err())
        .collect();
    assert!(
        failures.is_empty(),
        "{} commands do not do what the guide says\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn quick_commands_of_the_guide_do_what_it_says() {
    let quick: Vec<GuideCommand> = commands().into_iter().filter(is_quick).collect();
    assert!(quick.len() > 10, "the guide has no commands: {quick:?}");
    check_all(quick.into_iter());
}

#[test]
#[ignore = "takes many minutes: cargo test --test guide -- --ignored"]
fn all_commands_of_the_guide_do_what_it_says() {
    check_all(commands().into_iter());
}

#[test]
fn commands_for_the_kernel_shell_are_known_to_it() {
    let mut terminal = Boot::shell().release().at_prompt();
    for page in pages() {
        // Those that leave the kernel shell have tests of their own.
        let stays = |line: &&String| !["poweroff", "urun"].contains(&line.as_str());
        for line in page.shell_lines().iter().filter(stays) {
            let answer = terminal.answer(line);
            for complaint in ["unknown command", "usage:", "no such"] {
                let name = &page.name;
                assert!(!answer.contains(complaint), "{name}: {line}\n{answer}");
            }
        }
    }
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut dead = Vec::new();
    for page in &pages {
        let folder = root().join(&page.name).parent().map(|path| path.to_owned());
        let folder = folder.unwrap_or_default();
        for link in page.links() {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => root().join(&page.name),
                path => folder.join(path),
            };
            let target = target.canonicalize().unwrap_or_default();
            let aimed = pages.iter().find(|page| root().join(&page.name) == target);
            let has_anchor = aimed.is_some_and(|page| page.anchors().iter().any(|at| at == anchor));
            if !target.exists() || (!anchor.is_empty() && !has_anchor) {
                dead.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(dead.is_empty(), "dead links\n{}", dead.join("\n"));
}

#[test]
fn the_summary_has_every_page_once() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.name == "docs/SUMMARY.md");
    let mut listed = summary.map(|page| page.links()).unwrap_or_default();
    listed.sort();
    let names = pages
        .iter()
        .filter_map(|page| page.name.strip_prefix("docs/"));
    let mut expected: Vec<&str> = names.filter(|name| *name != "SUMMARY.md").collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}
