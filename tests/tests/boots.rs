//! Boots in a row: the machine comes up each time.

use std::fs;
use std::time::Duration;

use tests::{Boot, root};

/// The machine takes half a second; the rest is for a busy host.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often each machine boots, unless `ARGONAUT_BOOTS` in the environment says it.
const USUAL_BOOTS: usize = 200;
const CPUS: [usize; 4] = [1, 2, 4, 8];

/// Boots each machine so often. The report on the first one that does not come up is kept.
#[track_caller]
fn boot_in_a_row(count: usize) {
    for cpus in CPUS {
        let hello = Boot::program(&["hello"])
            .release()
            .cpus(cpus)
            .deadline(DEADLINE);
        for number in 1..=count {
            let run = hello.run();
            let is_up = run.booted().is_some_and(|(up, _)| up as usize == cpus);
            if run.status() != Some(0) || !is_up {
                let report = root().join("target/argonaut/boots-failed.txt");
                let kept = fs::write(&report, run.to_string());
                let report = report.display();
                panic!(
                    "boot {number} with {cpus} CPUs failed; report in {report} ({kept:?})\n{run}"
                );
            }
        }
        eprintln!("{count} boots in a row with {cpus} CPUs");
    }
}

#[test]
fn three_boots_in_a_row() {
    boot_in_a_row(3);
}

#[test]
#[ignore = "takes many minutes: cargo test --test boots -- --ignored"]
fn two_hundred_boots_in_a_row() {
    let count = std::env::var("ARGONAUT_BOOTS").map(|count| count.parse());
    boot_in_a_row(
        count
            .unwrap_or(Ok(USUAL_BOOTS))
            .expect("ARGONAUT_BOOTS is a number"),
    );
}
