//! Runs the same operations on Argonaut and on Debian's Linux under the same QEMU, in one sitting, and prints tables.
//!
//! `cargo run -p tests --bin beside_linux -- [one|four|clock|deferred]... [--runs N]`. Without a word, all tables:
//! - `one`: instructions on one CPU (`--icount`), which repeat exactly;
//! - `four`: instructions on four CPUs, the rows that take several;
//! - `clock`: wall clock with two virtual CPUs, N runs of each system (10) in turn. Times depend on the host, so only
//!   ratios are printed: the least, the median and the worst of those of each pair of runs;
//! - `deferred`: the same with four virtual CPUs and `shootdown=deferred`, for an unmap that three busy CPUs must hear of.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use tests::{Boot, root};

/// What we are after in instructions per operation, or in operations a second: rows that have an aim.
const AIMS: [(&str, f64); 24] = [
    ("syscall_null", 72.0),
    ("signal_self", 730.0),
    ("fork_exit_wait", 15_000.0),
    ("fork_exit_wait_1MiB", 16_500.0),
    ("fork_exit_wait_16MiB", 21_000.0),
    ("fork_cow64", 95_000.0),
    ("spawn_exit_wait", 22_000.0),
    ("thread_create_join", 7_300.0),
    ("yield_switch_pair", 483.0),
    ("pipe_pingpong_same_cpu", 1_300.0),
    ("pipe_pingpong_cross_cpu", 1_800.0),
    ("pipe_bandwidth", 2_000.0),
    ("page_fault_anon", 828.0),
    ("map_touch_unmap", 1_700.0),
    ("protect_page_0remote", 450.0),
    ("protect_page_1remote", 1_000.0),
    ("protect_page_2remote", 1_150.0),
    ("protect_page_3remote", 1_300.0),
    ("unmap_page_0remote", 1_700.0),
    ("unmap_page_1remote", 2_100.0),
    ("unmap_page_2remote", 2_250.0),
    ("unmap_page_3remote", 2_400.0),
    ("unmap_64pages_0remote", 55_000.0),
    ("fork_parallel_4", 66_000.0),
];

/// A run by wall clock does fewer operations by this, so that a pair of runs takes about half a minute.
const CLOCK_SCALE: &str = "4";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("beside_linux: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let wanted = Wanted::parse(words)?;
    for table in &wanted.tables {
        match table {
            Table::One => instructions(1)?,
            Table::Four => instructions(4)?,
            Table::Clock => wall_clock(2, None, wanted.runs)?,
            Table::Deferred => {
                let deferred = Variant {
                    option: "shootdown=deferred",
                    row: "unmap_page_3remote",
                };
                wall_clock(4, Some(deferred), wanted.runs)?;
            }
        }
    }
    Ok(())
}

#[derive(Copy, Clone)]
enum Table {
    One,
    Four,
    Clock,
    Deferred,
}

/// Argonaut with an option on its boot line, for a single row.
#[derive(Copy, Clone)]
struct Variant {
    option: &'static str,
    row: &'static str,
}

struct Wanted {
    tables: Vec<Table>,
    /// How often each system runs for the table of wall clock.
    runs: usize,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
        let mut wanted = Wanted {
            tables: Vec::new(),
            runs: 10,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "one" => wanted.tables.push(Table::One),
                "four" => wanted.tables.push(Table::Four),
                "clock" => wanted.tables.push(Table::Clock),
                "deferred" => wanted.tables.push(Table::Deferred),
                "--runs" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    wanted.runs = number
                        .filter(|&runs| runs > 0)
                        .ok_or("--runs wants a number")?;
                }
                _ => {
                    return Err(format!(
                        "what is {word}? one, four, clock, deferred or --runs N"
                    ));
                }
            }
        }
        if wanted.tables.is_empty() {
            wanted.tables = vec![Table::One, Table::Four, Table::Clock, Table::Deferred];
        }
        Ok(wanted)
    }
}

/// The rows of a run, in the order in which they were printed.
struct Rows(Vec<Row>);

struct Row {
    name: String,
    value: f64,
    unit: String,
}

impl Rows {
    /// Finds the lines `BENCH name value unit`. A run that did not come to its end is an error: it may have failed.
    fn parse(system: &str, output: &str) -> Result<Rows, String> {
        if !output.lines().any(|line| line.trim_end() == "BENCH-END") {
            return Err(format!("{system} did not come to the end:\n{output}"));
        }
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next()? == "BENCH").then_some(())?;
            Some(Row {
                name: words.next()?.to_owned(),
                value: words.next()?.parse().ok()?,
                unit: words.next()?.to_owned(),
            })
        };
        Ok(Rows(output.lines().filter_map(row).collect()))
    }

    fn find(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.name == name)
    }
}

impl Row {
    /// How long this takes if `other` takes 1.
    fn time_ratio(&self, other: &Row) -> f64 {
        match self.unit.as_str() {
            "ns/op" => self.value / other.value,
            _ => other.value / self.value,
        }
    }

    /// A number with commas, and the unit of rates.
    fn shown(&self) -> String {
        match self.unit.as_str() {
            "ns/op" => with_commas(self.value),
            unit => format!("{} {unit}", with_commas(self.value)),
        }
    }
}

fn with_commas(value: f64) -> String {
    let digits = format!("{value:.0}");
    let from_the_end = |at: usize| digits.len() - at;
    let mut shown = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && from_the_end(at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn argonaut(
    options: &[&str],
    variant: Option<Variant>,
    cpus: usize,
    scale: &str,
) -> Result<Rows, String> {
    let mut words = vec!["bench", "--scale", scale];
    words.extend(variant.map(|variant| variant.row));
    let mut boot = Boot::program(&words).release().cpus(cpus);
    for option in options {
        boot = boot.option(option);
    }
    if let Some(variant) = variant {
        boot = boot.append(variant.option);
    }
    Rows::parse("Argonaut", boot.run().console())
}

fn linux(options: &[&str], cpus: usize, scale: &str) -> Result<Rows, String> {
    let mut command = Command::new(root().join("tests/linux/run.sh"));
    command
        .args(options)
        .args(["--smp", &cpus.to_string(), "--scale", scale]);
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Rows::parse("Linux", &String::from_utf8_lossy(&output.stdout))
}

fn instructions(cpus: usize) -> Result<(), String> {
    let linux = linux(&["--icount"], cpus, "1")?;
    let argonaut = argonaut(&["--icount"], None, cpus, "1")?;
    println!("\nInstructions per operation, `--icount --smp {cpus}`:\n");
    println!("| row | Linux | Argonaut | Argonaut's time for Linux's 1 | aim | |");
    println!("|---|---|---|---|---|---|");
    for row in argonaut.0.iter().filter(|row| belongs(&row.name, cpus)) {
        let Some(peer) = linux.find(&row.name) else {
            return Err(format!("Linux has no row {}", row.name));
        };
        let (aim, reached) = judge(row);
        println!(
            "| {} | {} | {} | {:.3} | {aim} | {reached} |",
            row.name,
            peer.shown(),
            row.shown(),
            row.time_ratio(peer)
        );
    }
    Ok(())
}

/// Whether a row says more with so many CPUs than with one.
fn belongs(name: &str, cpus: usize) -> bool {
    let takes_several = name.ends_with("remote") && !name.ends_with("_0remote")
        || name.contains("_parallel_")
        || name.contains("cross");
    cpus == 1 || takes_several
}

fn judge(row: &Row) -> (String, &'static str) {
    let Some(&(_, aim)) = AIMS.iter().find(|(name, _)| *name == row.name) else {
        return (String::new(), "");
    };
    let reached = match row.unit.as_str() {
        "ns/op" => row.value.round() <= aim,
        _ => row.value.round() >= aim,
    };
    (with_commas(aim), if reached { "reached" } else { "missed" })
}

fn wall_clock(cpus: usize, variant: Option<Variant>, runs: usize) -> Result<(), String> {
    let mut ratios: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut order = Vec::new();
    for number in 1..=runs {
        eprintln!("beside_linux: pair of runs {number} of {runs}");
        let linux = linux(&[], cpus, CLOCK_SCALE)?;
        let argonaut = argonaut(&[], variant, cpus, CLOCK_SCALE)?;
        order = argonaut.0.iter().map(|row| row.name.clone()).collect();
        for row in &argonaut.0 {
            if let Some(peer) = linux.find(&row.name) {
                let ratio = row.time_ratio(peer);
                ratios.entry(row.name.clone()).or_default().push(ratio);
            }
        }
    }
    let append = variant.map_or(String::new(), |variant| {
        format!(" --append {}", variant.option)
    });
    println!(
        "\nArgonaut's time for Linux's 1 by wall clock, `--smp {cpus}{append}`, {runs} pairs of runs:\n"
    );
    println!("| row | least | median | worst |");
    println!("|---|---|---|---|");
    for name in order {
        let Some(ratios) = ratios.get_mut(&name) else {
            continue;
        };
        ratios.sort_by(f64::total_cmp);
        if let (Some(least), Some(worst)) = (ratios.first(), ratios.last()) {
            let median = ratios[ratios.len() / 2];
            println!("| {name} | {least:.3} | {median:.3} | {worst:.3} |");
        }
    }
    Ok(())
}
