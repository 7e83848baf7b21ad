//! How the scheduler shares the CPUs.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

use ulib::file::{self, File};
use ulib::{CpuMask, Pid, process};

use crate::check::{join, kill, ok, start, start_spinner};
use crate::runner::tests;

tests![
    twice_as_many_spinners_as_cpus_share_them_fairly,
    an_unpinned_spinner_in_a_crowd_sees_another_cpu,
    a_spinner_does_not_stop_others_on_its_cpu,
    two_spinners_on_one_cpu_get_half_each,
    an_idle_cpu_takes_waiting_work,
    a_woken_sleeper_runs_among_spinners,
];

/// How long a crowd runs for each of its CPUs, at least a second in all: with four virtual CPUs on two real ones each
/// then gets half a second.
const RUN_PER_CPU_MS: u64 = 250;

/// How much work one process of a crowd did on which CPU.
struct Work {
    process: usize,
    units_per_cpu: Vec<u64>,
}

/// Runs `processes` spinners that may use `cpus` at the same time for `duration_ms`; returns what each has done.
fn run_crowd(processes: usize, cpus: &CpuMask, duration_ms: u64) -> Vec<Work> {
    let cpu_count = process::cpu_count();
    let (reader, writer) = ok(file::pipe());
    let deadline_ns = process::clock_ns() + duration_ms * 1_000_000;
    let spinners: Vec<Pid> = (0..processes)
        .map(|number| start(|| spin(number, cpus, deadline_ns, cpu_count, &writer)))
        .collect();
    drop(writer);
    let mut crowd: Vec<Work> = (0..processes)
        .map(|process| Work {
            process,
            units_per_cpu: vec![0; cpu_count],
        })
        .collect();
    let mut record = [0; 24];
    while ok(reader.read_full(&mut record)) == record.len() {
        let [process, cpu, units] = record.as_chunks().0 else {
            unreachable!("24 bytes are three words")
        };
        let (process, cpu) = (usize::from_ne_bytes(*process), usize::from_ne_bytes(*cpu));
        crowd[process].units_per_cpu[cpu] += u64::from_ne_bytes(*units);
    }
    spinners.into_iter().for_each(join);
    crowd
}

fn spin(number: usize, cpus: &CpuMask, deadline_ns: u64, cpu_count: usize, report: &File) {
    let mut units_per_cpu = vec![0_u64; cpu_count];
    ok(process::set_affinity(0, cpus));
    while process::clock_ns() < deadline_ns {
        for turn in 0..2000 {
            black_box(turn);
        }
        units_per_cpu[process::getcpu()] += 1;
    }
    for (cpu, units) in units_per_cpu
        .into_iter()
        .enumerate()
        .filter(|(_, units)| *units > 0)
    {
        let mut record = [0; 24];
        let words = [number.to_ne_bytes(), cpu.to_ne_bytes(), units.to_ne_bytes()];
        record.copy_from_slice(words.as_flattened());
        ok(report.write_all(&record));
    }
}

fn crowd_duration_ms() -> u64 {
    (RUN_PER_CPU_MS * process::cpu_count() as u64).max(1000)
}

/// How often a share of time is measured. The host may take a virtual CPU away during one turn of two for long, which
/// looks as if the kernel were unfair; a kernel that is, is so each time.
const ATTEMPTS: usize = 3;

fn twice_as_many_spinners_as_cpus_share_them_fairly() {
    let cpus = process::cpu_count();
    let mut per_cpu: Vec<u64> = Vec::new();
    let is_fair = (0..ATTEMPTS).any(|_| {
        let crowd = run_crowd(2 * cpus, &CpuMask::ALL, crowd_duration_ms());
        let units_on = |cpu: usize| {
            let units = crowd.iter().map(|work| work.units_per_cpu[cpu]);
            units.sum::<u64>()
        };
        per_cpu = (0..cpus).map(units_on).collect();
        let fair_share = per_cpu.iter().sum::<u64>() / cpus as u64;
        per_cpu.iter().all(|&units| units >= fair_share / 2)
    });
    assert!(is_fair, "the CPUs' work, the last time: {per_cpu:?}");
}

fn an_unpinned_spinner_in_a_crowd_sees_another_cpu() {
    if process::cpu_count() == 1 {
        return;
    }
    // A second has few turns if the host has much else to do: then another second counts.
    let everybody_moves = || stay_at_homes().is_empty();
    assert!(
        everybody_moves() || everybody_moves() || everybody_moves(),
        "some processes never leave their CPU"
    );
}

/// Runs a crowd; returns which of its processes have seen one CPU only.
fn stay_at_homes() -> Vec<usize> {
    let crowd = run_crowd(2 * process::cpu_count(), &CpuMask::ALL, crowd_duration_ms());
    let cpus_seen = |work: &Work| {
        work.units_per_cpu
            .iter()
            .filter(|&&units| units > 0)
            .count()
    };
    crowd
        .iter()
        .filter(|work| cpus_seen(work) < 2)
        .map(|work| work.process)
        .collect()
}

fn a_spinner_does_not_stop_others_on_its_cpu() {
    process::pin(0);
    let spinner = start_spinner();
    for _ in 0..5 {
        process::yield_now();
        join(start(|| ()));
    }
    assert_eq!(process::try_wait(spinner), Ok(None));
    kill(spinner);
}

fn two_spinners_on_one_cpu_get_half_each() {
    let last = process::cpu_count() - 1;
    let mut units: Vec<u64> = Vec::new();
    let is_fair = (0..ATTEMPTS).any(|_| {
        let crowd = run_crowd(2, &CpuMask::single(last), 600);
        let done = crowd.iter().map(|work| work.units_per_cpu.iter().sum());
        units = done.collect();
        units[0] >= units[1] / 2 && units[1] >= units[0] / 2
    });
    assert!(is_fair, "their work, the last time: {units:?}");
}

fn an_idle_cpu_takes_waiting_work() {
    let cpus = process::cpu_count();
    process::pin(0);
    // All are born on CPU 0, where the runner of this test is, too.
    let crowd = run_crowd(cpus, &CpuMask::ALL, crowd_duration_ms());
    for cpu in 0..cpus {
        assert!(
            crowd.iter().any(|work| work.units_per_cpu[cpu] > 0),
            "CPU {cpu} has done nothing"
        );
    }
}

fn a_woken_sleeper_runs_among_spinners() {
    let spinners: Vec<Pid> = (0..2 * process::cpu_count())
        .map(|_| start_spinner())
        .collect();
    for _ in 0..5 {
        process::sleep_ms(2);
    }
    spinners.into_iter().for_each(kill);
}
