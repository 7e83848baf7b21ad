//! What CPUs have in common, counted by a plugin of QEMU's (`tests/scaling/cache_lines.c`).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, process};

use crate::prepare::{run, shell};
use crate::{Boot, root};

/// The row of `bench` in which every CPU has a process of its own that does the same; what it counts, by how much
/// `bench` divides that many operations, and how many there are in a round.
#[derive(Copy, Clone, Debug)]
pub struct Row {
    /// Its name without the number of processes.
    pub name: &'static str,
    /// What an operation is.
    pub operation: &'static str,
    rounds: usize,
    per_round: usize,
}

/// The rows with a process for each CPU.
pub const ROWS: [Row; 3] = [
    Row {
        name: "fork_parallel_",
        operation: "fork, exit and wait",
        rounds: 200,
        per_round: 1,
    },
    Row {
        name: "fault_parallel_",
        operation: "page fault",
        rounds: 100,
        per_round: 64,
    },
    Row {
        name: "thread_parallel_",
        operation: "thread created and joined",
        rounds: 200,
        per_round: 1,
    },
];

impl Row {
    /// How many operations the row does with a process for each of `cpus`, all together.
    pub fn operations(&self, cpus: usize, scale: usize) -> usize {
        (self.rounds / scale + 1) * self.per_round * cpus
    }

    /// The row's whole name.
    pub fn on(&self, cpus: usize) -> String {
        format!("{}{cpus}", self.name)
    }
}

/// What an operation costs the other CPUs.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Writes into cache lines that every CPU writes to, per operation.
    pub shared_writes: f64,
    /// Interrupts to other CPUs, per operation.
    pub interrupts: f64,
    /// The most written of those lines: writes per operation, and an instruction of the kernel that writes there.
    pub lines: Vec<(f64, u64)>,
}

/// Counts for one row on so many CPUs. Beginning and end of a run cancel out: it is the difference of two lengths.
pub fn count(row: &Row, cpus: usize) -> Counted {
    let (short, long) = (Totals::of_run(row, cpus, 2), Totals::of_run(row, cpus, 1));
    let operations = (row.operations(cpus, 1) - row.operations(cpus, 2)) as f64;
    let all = row.operations(cpus, 1) as f64;
    // Rounded, since a run's beginning differs a little from another one's.
    let per_operation =
        |short: u64, long: u64| (100.0 * (long as f64 - short as f64) / operations).round() / 100.0;
    Counted {
        shared_writes: per_operation(short.shared_writes, long.shared_writes),
        interrupts: per_operation(short.interrupts, long.interrupts),
        lines: long
            .lines
            .iter()
            .map(|&(writes, pc)| (writes as f64 / all, pc))
            .collect(),
    }
}

/// What the plugin prints.
struct Totals {
    shared_writes: u64,
    interrupts: u64,
    lines: Vec<(u64, u64)>,
}

impl Totals {
    fn of_run(row: &Row, cpus: usize, scale: usize) -> Totals {
        let output = env::temp_dir().join(format!(
            "argonaut-lines-{}-{}-{cpus}-{scale}",
            process::id(),
            row.name
        ));
        let plugin = plugin();
        let run = Boot::program(&["bench", &row.on(cpus), "--scale", &scale.to_string()])
            .release()
            .cpus(cpus)
            .append("apic=xapic")
            .qemu(&format!(
                "-plugin {} -d plugin -D {}",
                plugin.display(),
                output.display()
            ))
            .run();
        run.assert_status(0);
        let text = fs::read_to_string(&output)
            .unwrap_or_else(|error| panic!("{}: {error}", output.display()));
        let _ = fs::remove_file(&output);
        Totals::parse(&text).unwrap_or_else(|| panic!("the plugin printed\n{text}\n{run}"))
    }

    fn parse(text: &str) -> Option<Totals> {
        let value = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let line = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["LINE", _, "writes", writes, "pc", pc] => {
                let pc = u64::from_str_radix(pc.strip_prefix("0x")?, 16).ok()?;
                Some((writes.parse().ok()?, pc))
            }
            _ => None,
        };
        Some(Totals {
            shared_writes: value("SHARED")?,
            interrupts: value("INTERRUPTS")?,
            lines: text.lines().filter_map(line).collect(),
        })
    }
}

/// The plugin, compiled once.
fn plugin() -> PathBuf {
    static COMPILED: Mutex<bool> = Mutex::new(false);
    let plugin = root().join("target/argonaut/cache_lines.so");
    let mut is_compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_compiled {
        compile(&plugin);
        *is_compiled = true;
    }
    plugin
}

fn compile(plugin: &Path) {
    let plugin = plugin.display();
    let command = format!(
        ". tools/setup.sh && find_cc && mkdir -p target/argonaut && \
         cc -std=gnu11 -O2 -Wall -Werror -shared -fPIC -fvisibility=hidden -o {plugin} tests/scaling/cache_lines.c"
    );
    run(&mut shell(&command)).unwrap_or_else(|reason| panic!("{reason}"));
}
