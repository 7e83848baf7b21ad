//! Checks what the system calls promise, one function for each behaviour.
//!
//! `usertests [NAME...] [-NAME...] [--list]`: runs all tests, or those with the given names, but none that is given
//! with a `-` before it; `NAME*` stands for every name that begins so. Each test runs in a process of its own with a
//! time limit. It has passed if that process ends as it should: by itself, or by the one signal that the test's fault
//! must raise; and if the kernel's accounts are then where they were.
#![no_std]
#![no_main]

extern crate alloc;

mod affinity;
mod big_pages;
mod caught;
mod check;
mod common_pipe;
mod console_calls;
mod coverage;
mod exit_races;
mod faults;
mod files;
mod five_levels;
mod float;
mod forks;
mod futex;
mod futex_shared;
mod grow;
mod helper;
mod identity;
mod instructions;
mod kill;
mod map;
mod mapping_info;
mod memory;
mod move_pages;
mod no_memory;
mod offer_attacks;
mod offer_races;
mod offer_waits;
mod offers;
mod page_free;
mod pipes;
mod placement;
mod pointer_arguments;
mod pointers;
mod protect;
mod runner;
mod scopes;
mod shared;
mod signal_breaks;
mod signal_children;
mod signal_faults;
mod signal_frames;
mod signal_refusals;
mod signal_targets;
mod signal_waits;
mod signals;
mod spawn;
mod thread_exit;
mod thread_float;
mod thread_forks;
mod thread_join;
mod thread_memory;
mod thread_places;
mod thread_registers;
mod thread_rights;
mod thread_tools;
mod threads;
mod tls;
mod unmap;
mod wait;

use alloc::vec::Vec;

use ulib::{Arguments, println};

ulib::program!(main);

const GROUPS: &[&[runner::Test]] = &[
    identity::TESTS,
    spawn::TESTS,
    wait::TESTS,
    kill::TESTS,
    scopes::TESTS,
    affinity::TESTS,
    placement::TESTS,
    files::TESTS,
    pipes::TESTS,
    common_pipe::TESTS,
    memory::TESTS,
    page_free::TESTS,
    map::TESTS,
    mapping_info::TESTS,
    unmap::TESTS,
    protect::TESTS,
    move_pages::TESTS,
    grow::TESTS,
    shared::TESTS,
    offers::TESTS,
    offer_attacks::TESTS,
    offer_races::TESTS,
    offer_waits::TESTS,
    forks::TESTS,
    big_pages::TESTS,
    five_levels::TESTS,
    pointers::TESTS,
    pointer_arguments::TESTS,
    no_memory::TESTS,
    float::TESTS,
    threads::TESTS,
    thread_join::TESTS,
    thread_registers::TESTS,
    thread_rights::TESTS,
    thread_float::TESTS,
    tls::TESTS,
    thread_memory::TESTS,
    thread_exit::TESTS,
    thread_forks::TESTS,
    thread_places::TESTS,
    exit_races::TESTS,
    futex::TESTS,
    futex_shared::TESTS,
    faults::TESTS,
    instructions::TESTS,
    signals::TESTS,
    signal_refusals::TESTS,
    signal_targets::TESTS,
    signal_waits::TESTS,
    signal_children::TESTS,
    signal_frames::TESTS,
    signal_faults::TESTS,
    signal_breaks::TESTS,
    console_calls::TESTS,
];

fn main(arguments: Arguments) -> i32 {
    if arguments.get(1) == Some(helper::OPTION) {
        return helper::run(arguments);
    }
    let tests = || GROUPS.iter().copied().flatten();
    let patterns: Vec<&str> = arguments.operands().collect();
    if patterns.contains(&"--list") {
        tests().for_each(|test| println!("{}", test.name));
        return 0;
    }
    let named =
        |pattern: &&&str| tests().any(|test| matches(pattern.trim_start_matches('-'), test.name));
    if let Some(unknown) = patterns.iter().find(|pattern| !named(pattern)) {
        ulib::eprintln!("usertests: no test is called {unknown}");
        return 2;
    }
    let coverage = match coverage::start() {
        Ok(coverage) => coverage,
        Err(errno) => panic!("no memory to note errors in: {errno}"),
    };
    let code = runner::run(tests().filter(|test| is_wanted(&patterns, test.name)));
    let is_complete = coverage.report(patterns.is_empty());
    if is_complete { code } else { 1 }
}

/// With names given only those, but none of those given with a `-`.
fn is_wanted(patterns: &[&str], name: &str) -> bool {
    let (unwanted, wanted): (Vec<&str>, Vec<&str>) = patterns
        .iter()
        .partition(|pattern| pattern.starts_with('-'));
    let is_unwanted = unwanted.iter().any(|pattern| matches(&pattern[1..], name));
    !is_unwanted && (wanted.is_empty() || wanted.iter().any(|pattern| matches(pattern, name)))
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern == name
        || pattern
            .strip_suffix('*')
            .is_some_and(|beginning| name.starts_with(beginning))
}
