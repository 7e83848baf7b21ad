//! What would keep more CPUs from doing more work, counted; no clock of the host has a part in it.
//!
//! `cargo run -p tests --bin scaling -- [CPUS...]` (1 2 4 8 16 32). Each CPU runs a process of its own, and all do the
//! same and share nothing. For one operation, whatever process does it, the table shows
//! - the instructions it takes (`--icount`): the same, however many CPUs there are;
//! - the writes into cache lines that every CPU writes to, and the interrupts to other CPUs (`cache_lines`);
//! - how often a lock was not free when it was wanted, in a thousand operations (`locks=on`).

use std::process::ExitCode;

use tests::Boot;
use tests::cache_lines::{ROWS, Row, count};

fn main() -> ExitCode {
    let mut cpus = Vec::new();
    for word in std::env::args().skip(1) {
        match word.parse() {
            Ok(number @ 1..=32) => cpus.push(number),
            _ => {
                eprintln!("scaling: {word} is no number of CPUs from 1 to 32");
                return ExitCode::FAILURE;
            }
        }
    }
    if cpus.is_empty() {
        cpus = vec![1, 2, 4, 8, 16, 32];
    }
    for row in &ROWS {
        println!("\nPer {}:\n", row.operation);
        println!(
            "| CPUs | instructions | writes to shared lines | interrupts | locks not free, of 1,000 |"
        );
        println!("|---|---|---|---|---|");
        for &cpus in &cpus {
            print_row(row, cpus);
        }
    }
    ExitCode::SUCCESS
}

fn print_row(row: &Row, cpus: usize) {
    // With one CPU every line is its own.
    let (shared_writes, interrupts) = match cpus {
        1 => (0.0, 0.0),
        _ => {
            let counted = count(row, cpus);
            for (writes, pc) in &counted.lines {
                eprintln!("scaling: {writes:.2} writes to one line, by the code at {pc:#x}");
            }
            (counted.shared_writes, counted.interrupts)
        }
    };
    println!(
        "| {cpus} | {:.0} | {shared_writes:.2} | {interrupts:.2} | {:.2} |",
        instructions(row, cpus),
        1000.0 * contended(row, cpus)
    );
}

/// Instructions per operation.
fn instructions(row: &Row, cpus: usize) -> f64 {
    let run = Boot::program(&["bench", &row.on(cpus)])
        .release()
        .cpus(cpus)
        .option("--icount")
        .run();
    run.assert_status(0);
    let rate = run.console().lines().find_map(|line| {
        let mut words = line.strip_prefix("BENCH ")?.split_whitespace().skip(1);
        words.next()?.parse::<f64>().ok()
    });
    1e9 / rate.unwrap_or_else(|| panic!("no row {}\n{run}", row.on(cpus)))
}

/// Locks that were not free, per operation.
fn contended(row: &Row, cpus: usize) -> f64 {
    let boot = Boot::shell().release().cpus(cpus).append("locks=on");
    let mut terminal = boot.at_prompt();
    let command = format!("run bench {}", row.on(cpus));
    // Pools are filled first.
    terminal.answer(&command);
    terminal.answer("locks reset");
    terminal.answer(&command);
    let counts = terminal.answer("locks");
    terminal.type_line("poweroff");
    terminal.end().assert_status(0);
    let contended = counts.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [level, _, _, contended, _] = words[..] else {
            return None;
        };
        level.parse::<u16>().ok()?;
        contended.parse::<u64>().ok()
    });
    contended.sum::<u64>() as f64 / row.operations(cpus, 1) as f64
}
