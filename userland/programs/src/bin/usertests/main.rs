//! Checks what the system calls promise, one function for each behaviour.
//!
//! `usertests [NAME...] [--list]`: runs all tests, or those whose names are given or begin with `NAME*`. Each test runs
//! in a process of its own with a time limit. It has passed if that process ends as it should: by itself, or by the one
//! signal that the test's fault must raise; and if the kernel's accounts are then where they were.
#![no_std]
#![no_main]

extern crate alloc;

mod affinity;
mod check;
mod faults;
mod files;
mod float;
mod helper;
mod identity;
mod instructions;
mod kill;
mod memory;
mod pipes;
mod placement;
mod pointers;
mod runner;
mod spawn;
mod wait;

use alloc::vec::Vec;

use ulib::{Arguments, println};

ulib::program!(main);

const GROUPS: [&[runner::Test]; 13] = [
    identity::TESTS,
    spawn::TESTS,
    wait::TESTS,
    kill::TESTS,
    affinity::TESTS,
    placement::TESTS,
    files::TESTS,
    pipes::TESTS,
    memory::TESTS,
    pointers::TESTS,
    float::TESTS,
    faults::TESTS,
    instructions::TESTS,
];

fn main(arguments: Arguments) -> i32 {
    if arguments.get(1) == Some(helper::OPTION) {
        return helper::run(arguments);
    }
    let tests = || GROUPS.into_iter().flatten();
    let patterns: Vec<&str> = arguments.operands().collect();
    if patterns.contains(&"--list") {
        tests().for_each(|test| println!("{}", test.name));
        return 0;
    }
    if let Some(unknown) = patterns
        .iter()
        .find(|pattern| !tests().any(|test| matches(pattern, test.name)))
    {
        ulib::eprintln!("usertests: no test is called {unknown}");
        return 2;
    }
    let is_wanted =
        |name| patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, name));
    runner::run(tests().filter(|test| is_wanted(test.name)))
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern == name
        || pattern
            .strip_suffix('*')
            .is_some_and(|beginning| name.starts_with(beginning))
}
