//! What random calls, kills at any moment, and time slices by chance do not break: short in the usual run of the tests,
//! and at length on request (docs/reliability.md):
//!
//! ```text
//! cargo test --test grind -- --ignored --nocapture
//! ```
//!
//! Each run of a list stands for itself. One that fails is shown with the command that repeats it.

use std::env;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Boot, Run};

/// How long random calls are made in the usual run of the tests, on each machine, in seconds by wall clock, and in
/// milliseconds of a CPU's time with time slices by chance, which take a minute each.
const GRIND_SECONDS: u64 = 60;
const SHAKEN_GRIND_MS: u64 = 6000;
/// So many seeds of shaken time slices the usual run tries.
const SHAKEN_SEEDS: u64 = 50;
/// So many runs at a time, unless `ARGONAUT_AT_A_TIME` says another number, 1 at least.
const AT_A_TIME: u64 = 2;
const DEADLINE: Duration = Duration::from_secs(900);

/// Ways to run the kernel, of which each run of random calls takes another one.
const WAYS: [&str; 8] = [
    "hz=100",
    "fork=cow",
    "fork=eager",
    "fork=naive",
    "shootdown=deferred",
    "shootdown=broadcast",
    "la57=on",
    "hz=1000",
];

/// One run, as its command.
#[derive(Clone)]
struct Case(String);

impl Case {
    /// By wall clock.
    fn at_once(cpus: u64, program: &str) -> Case {
        Case(format!("--profile checked --smp {cpus} {program}"))
    }

    /// With time slices by chance and counted instructions, so that it can be repeated exactly.
    fn shaken(cpus: u64, seed: u64, program: &str) -> Case {
        let options = format!("--profile checked --icount --smp {cpus} --append shake={seed}");
        Case(format!("{options} {program}"))
    }

    /// The kernel run in one of the [`WAYS`].
    fn in_way(self, number: u64) -> Case {
        self.append(WAYS[(number % WAYS.len() as u64) as usize])
    }

    fn append(self, option: &str) -> Case {
        Case(format!("--append {option} {}", self.0))
    }

    fn run(&self, deadline: Duration) -> Run {
        let words: Vec<String> = self.0.split_whitespace().map(str::to_owned).collect();
        let Some(boot) = Boot::from_words(&words) else {
            panic!("{} runs no program", self.0);
        };
        boot.deadline(deadline).run()
    }
}

/// Runs all of them, a few at a time, and names each that is done, so that a list that was cut short counts as far as it
/// came. Fails at the end if one has, each with the command that repeats it. Returns what the good ones have printed.
#[track_caller]
fn run_all(
    cases: impl IntoIterator<Item = Case, IntoIter: Send>,
    deadline: Duration,
) -> Vec<String> {
    let waiting = Mutex::new(cases.into_iter());
    let (good, bad) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..number("ARGONAUT_AT_A_TIME", AT_A_TIME).max(1) {
            scope.spawn(|| {
                loop {
                    let Some(case) = lock(&waiting).next() else {
                        break;
                    };
                    let start = Instant::now();
                    let run = case.run(deadline);
                    if run.status() == Some(0) {
                        eprintln!(
                            "good after {:.0?}: ./run-smp.sh {}",
                            start.elapsed(),
                            case.0
                        );
                        lock(&good).push(run.console().to_owned());
                    } else {
                        eprintln!("FAILED; again: ./run-smp.sh {}\n{run}", case.0);
                        lock(&bad).push(format!("./run-smp.sh {}", case.0));
                    }
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap_or_default();
    assert!(bad.is_empty(), "these have failed:\n{}", bad.join("\n"));
    good.into_inner().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many calls the runs of `grind` have made.
#[track_caller]
fn calls_of(consoles: &[String]) -> u64 {
    consoles.iter().map(|console| calls(console)).sum()
}

/// The number before `calls` in the last line of a run of `grind`, which says too that each call of the table was made.
#[track_caller]
fn calls(console: &str) -> u64 {
    let counted = console.rsplit_once("grind: seed ").and_then(|(_, line)| {
        let (_, rest) = line.split_once(": ")?;
        let (calls, rest) = rest.split_once(" calls, ")?;
        let (made, rest) = rest.split_once(" of ")?;
        let (known, _) = rest.split_once(" kinds")?;
        assert_eq!(made, known, "some call was never made\n{console}");
        calls.parse().ok()
    });
    counted.unwrap_or_else(|| panic!("no count of calls in\n{console}"))
}

/// A number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    match env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
        Err(_) => usual,
    }
}

#[test]
fn random_calls_harm_nobody() {
    let by_wall_clock = [1, 2, 4]
        .map(|cpus| Case::at_once(cpus, &format!("grind {cpus} {GRIND_SECONDS}")).in_way(cpus));
    let shaken = [3, 4, 8].map(|cpus| {
        let milliseconds = SHAKEN_GRIND_MS / cpus;
        Case::shaken(cpus, cpus, &format!("grind {cpus} {milliseconds}ms")).in_way(cpus + 3)
    });
    let calls = calls_of(&run_all(by_wall_clock.into_iter().chain(shaken), DEADLINE));
    assert!(calls > 100_000, "only {calls} calls");
}

/// What each of these switches breaks, the storm must find.
#[test]
fn random_calls_find_what_is_broken() {
    for broken in ["usercopy", "leak"] {
        let case = Case::shaken(2, 1, "grind 1 200ms").append(&format!("break={broken}"));
        let run = case.run(DEADLINE);
        assert!(
            ![None, Some(0)].contains(&run.status()),
            "break={broken}\n{run}"
        );
    }
}

#[test]
fn the_sequence_of_a_thread_of_the_storm_depends_on_the_seed_alone() {
    let shown = |words: &[&str]| {
        let run = Boot::program(words).cpus(1).run();
        run.assert_status(0);
        run.console().to_owned()
    };
    let once = shown(&["grind", "5", "show", "3", "1", "0", "200"]);
    assert_eq!(
        once.lines().filter(|line| line.contains('(')).count(),
        200,
        "{once}"
    );
    assert_eq!(once, shown(&["grind", "5", "show", "3", "1", "0", "200"]));
    assert_ne!(once, shown(&["grind", "6", "show", "3", "1", "0", "200"]));
}

#[test]
fn no_set_of_registers_gives_a_right() {
    run_all([Case::at_once(2, "grind 1 registers 20000")], DEADLINE);
}

#[test]
fn kills_at_moments_by_chance_leave_nothing() {
    run_all(
        [1, 2].map(|cpus| Case::at_once(cpus, &format!("killdemo 10 {cpus}"))),
        DEADLINE,
    );
}

#[test]
fn a_shaken_run_is_the_same_again_and_another_one_with_another_seed() {
    let outcome = |seed| {
        let run = Case::shaken(4, seed, "threadstorm 40ms 1").run(DEADLINE);
        run.assert_status(0);
        (run.console().to_owned(), run.log().to_owned())
    };
    let once = outcome(7);
    assert_eq!(once, outcome(7));
    assert_ne!(once.0, outcome(8).0);
}

/// For one seed: the storm, kills, and shootdowns, on one of several machines.
fn shaken_cases(seed: u64) -> [Case; 3] {
    let cpus = [3, 4, 2, 3, 8][(seed % 5) as usize];
    let storm = format!("threadstorm {}ms {seed}", 200 / cpus);
    let kills = format!("killdemo 1 {seed}");
    [&storm, &kills, "shootdown 100"].map(|program| Case::shaken(cpus, seed, program))
}

#[test]
fn shaken_time_slices_break_nothing() {
    run_all((1..=SHAKEN_SEEDS).flat_map(shaken_cases), DEADLINE);
}

#[test]
#[ignore = "long"]
fn a_thousand_seeds_of_shaken_time_slices_break_nothing() {
    let first = number("ARGONAUT_FIRST_SEED", 1);
    let seeds = number("ARGONAUT_SEEDS", 1000);
    let start = Instant::now();
    run_all((first..first + seeds).flat_map(shaken_cases), DEADLINE);
    println!(
        "{seeds} seeds of storm, kills and shootdowns in {:?}",
        start.elapsed()
    );
}

/// Half of the calls by wall clock on 1 and 2 CPUs, half shaken on 3, 4 and 8.
#[test]
#[ignore = "long"]
fn a_hundred_million_random_calls_harm_nobody() {
    let first = number("ARGONAUT_FIRST_SEED", 1);
    let seeds = number("ARGONAUT_SEEDS", 100);
    let calls_per_seed = number("ARGONAUT_CALLS", 100_000_000).div_ceil(seeds);
    let cases = (first..first + seeds).map(|seed| {
        let program = format!("grind {seed} 3600 {calls_per_seed}");
        let case = match seed % 2 {
            0 => Case::at_once(1 + seed / 2 % 2, &program),
            _ => Case::shaken([3, 4, 8][(seed / 2 % 3) as usize], seed, &program),
        };
        case.in_way(seed / 2)
    });
    let start = Instant::now();
    let calls = calls_of(&run_all(cases, 8 * DEADLINE));
    println!("{calls} calls with {seeds} seeds in {:?}", start.elapsed());
}

#[test]
#[ignore = "long"]
fn twenty_minutes_of_random_calls_by_wall_clock_harm_nobody() {
    let seconds = number("ARGONAUT_SECONDS", 1200);
    let deadline = 2 * Duration::from_secs(seconds) + DEADLINE;
    let cases = [3, 4, 8].map(|cpus| Case::at_once(cpus, &format!("grind {cpus} {seconds}")));
    let calls = calls_of(&run_all(cases, deadline));
    println!("{calls} calls in {seconds} s at each of 3, 4 and 8 CPUs");
}

#[test]
#[ignore = "long"]
fn a_million_sets_of_registers_give_no_right() {
    let sets = number("ARGONAUT_SETS", 1_000_000);
    let cases = [1, 2, 4].map(|cpus| {
        Case::at_once(
            cpus,
            &format!("grind {cpus} registers {}", sets.div_ceil(3)),
        )
    });
    run_all(cases, 8 * DEADLINE);
}

/// Half of them by wall clock on 1 and 2 CPUs, half shaken on 3, 4 and 8.
#[test]
#[ignore = "long"]
fn a_million_kills_leave_nothing() {
    /// As many on each CPU in each round.
    const KILLS_PER_CPU: u64 = 18;
    let first = number("ARGONAUT_FIRST_SEED", 1);
    let seeds = number("ARGONAUT_SEEDS", 100);
    let kills_per_seed = number("ARGONAUT_KILLS", 1_000_000).div_ceil(seeds);
    let cases = (first..first + seeds).map(|seed| {
        let cpus = match seed % 2 {
            0 => 1 + seed / 2 % 2,
            _ => [3, 4, 8][(seed / 2 % 3) as usize],
        };
        let program = format!(
            "killdemo {} {seed}",
            kills_per_seed.div_ceil(cpus * KILLS_PER_CPU)
        );
        match seed % 2 {
            0 => Case::at_once(cpus, &program).append("hz=1000"),
            _ => Case::shaken(cpus, seed, &program),
        }
    });
    run_all(cases, 8 * DEADLINE);
}
