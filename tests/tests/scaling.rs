//! Processes that share nothing do not slow each other down, however many CPUs they run on: what they have in common is
//! counted, by the number of CPUs (`cache_lines` in this crate; the whole table: `cargo run -p tests --bin scaling`).

use tests::cache_lines::{Counted, ROWS, count};

/// Twice as many CPUs may have so much more in common, and so many times more: starts and ends do not cancel out exactly. What
/// grew with the number of CPUs would be twice as much.
const TOLERANCE: f64 = 0.5;
const FACTOR: f64 = 1.25;

/// What a fork, a page fault and a thread may write to lines that every CPU writes to, per operation.
const MOST_WRITES: [f64; 3] = [22.0, 0.1, 4.0];

#[test]
fn independent_processes_have_no_more_in_common_on_eight_cpus_than_on_four() {
    for (row, most) in ROWS.iter().zip(MOST_WRITES) {
        let [few, many] = [4, 8].map(|cpus| count(row, cpus));
        let shown = format!("per {}, on 4 CPUs {few:?} and on 8 {many:?}", row.operation);
        let differs = |of: fn(&Counted) -> f64| of(&many) > FACTOR * of(&few) + TOLERANCE;
        assert!(!differs(|counted| counted.shared_writes), "{shown}");
        assert!(!differs(|counted| counted.interrupts), "{shown}");
        assert!(many.shared_writes <= most, "more than {most} {shown}");
        assert!(many.interrupts <= 0.1, "{shown}");
    }
}
