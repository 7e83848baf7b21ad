//! How a row is measured and printed: as in the program that measures Linux (`kbench.c`), so that rows compare.

use ulib::{Pid, println, process};

/// Of so many rounds the best counts, so that timer ticks and deferred work stay out of the figure.
const ROUNDS: usize = 20;

/// No round begins so long after the first: with more virtual CPUs than the host has, one call can wait for several of
/// the host's time slices.
const ROUNDS_END_NS: u64 = 5_000_000_000;

/// Prints a row.
pub(crate) fn row(name: &str, value: f64, unit: &str) {
    println!("BENCH {name:<28} {value:>12.1} {unit}");
}

/// Measures `operation`: a round times `count / 4 + 1` of them.
pub(crate) fn best(name: &str, count: usize, operation: impl FnMut()) {
    best_per(name, count, 1, operation);
}

/// The same, for an operation that does `steps` of what the row counts.
pub(crate) fn best_per(name: &str, count: usize, steps: usize, mut operation: impl FnMut()) {
    let per_round = count / 4 + 1;
    let mut best_ns = f64::INFINITY;
    let end_ns = process::clock_ns() + ROUNDS_END_NS;
    for _ in 0..ROUNDS {
        let start_ns = process::clock_ns();
        if start_ns > end_ns {
            break;
        }
        for _ in 0..per_round {
            operation();
        }
        let duration_ns = process::clock_ns() - start_ns;
        best_ns = best_ns.min(duration_ns as f64 / per_round as f64 / steps as f64);
    }
    row(name, best_ns, "ns/op");
}

/// Forks a child that exits at once, and waits for it.
pub(crate) fn fork_and_wait() {
    wait(start(|| 0));
}

/// Starts a child that runs `body`.
pub(crate) fn start(body: impl FnOnce() -> i32) -> Pid {
    match process::start(body) {
        Ok(child) => child,
        Err(errno) => panic!("cannot fork: {errno}"),
    }
}

/// Waits for a child.
pub(crate) fn wait(child: Pid) {
    if let Err(errno) = process::wait(child) {
        panic!("cannot wait for {child}: {errno}");
    }
}
