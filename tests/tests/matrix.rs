//! The machines that the kernel must run on, each doing real work. What always runs is a part; the whole is
//! `cargo test --test matrix -- --ignored`.

use std::panic;
use std::time::{Duration, Instant};

use tests::{Boot, Machine, matrix};

const LONG: Duration = Duration::from_secs(300);
/// For everything that `usertests` has, on eight virtual CPUs of a busy host.
const VERY_LONG: Duration = Duration::from_secs(1200);

/// All tests up to 8 CPUs, and the storm of threads and shootdowns that are checked one by one; with more CPUs than
/// that, where each of them gets little of the host, what shows that all are there and work together.
fn programs(cpus: usize) -> &'static [&'static [&'static str]] {
    match cpus {
        0..=8 => &[&["usertests"], &["threadstorm", "3", "11"], &["shootdown"]],
        9..=64 => &[
            &["usertests", "threads*", "kill*", "memory*"],
            &["threadstorm", "3", "12"],
        ],
        _ => &[&["usertests", "kill*", "memory*"]],
    }
}

/// Runs a program on a machine of the matrix, which is what it should be.
#[track_caller]
fn run_on(machine: &Machine, program: &[&str]) {
    let run = machine.program(program).deadline(VERY_LONG).run();
    run.assert_status(0)
        .assert_cpus(machine.cpus)
        .assert_log_has(&[&format!("{} levels", machine.levels)]);
    if machine.apic == "xapic" || tests::qemu_has_x2apic() {
        run.assert_log_has(&[&format!(" {} mode", machine.apic)]);
    }
}

/// Takes half an hour, and goes on when something fails. `ARGONAUT_MATRIX` in the environment says which machines, by some of
/// their properties (`6 CPUs, xapic`).
#[test]
#[ignore = "takes half an hour: cargo test --test matrix -- --ignored"]
fn the_whole_matrix() {
    let wanted = std::env::var("ARGONAUT_MATRIX").unwrap_or_default();
    let is_wanted = |machine: &Machine| {
        let mut words = wanted.split(',').map(str::trim).filter(|it| !it.is_empty());
        words.all(|word| machine.properties().iter().any(|it| it == word))
    };
    let (mut count, mut failed) = (0, Vec::new());
    for machine in matrix().iter().filter(|machine| is_wanted(machine)) {
        for program in programs(machine.cpus) {
            let (start, name) = (Instant::now(), format!("{machine}: {}", program.join(" ")));
            let outcome = match panic::catch_unwind(|| run_on(machine, program)) {
                Ok(()) => "ok",
                Err(_) => "FAILED",
            };
            eprintln!("{outcome} after {} s: {name}", start.elapsed().as_secs());
            count += 1;
            if outcome != "ok" {
                failed.push(name);
            }
        }
    }
    assert!(count > 0, "no machine has all of: {wanted}");
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

#[test]
fn machines_of_all_kinds() {
    let few = matrix().into_iter().filter(|machine| machine.cpus <= 8);
    for machine in few.step_by(7) {
        run_on(&machine, &["shootdown", "20"]);
    }
}

#[track_caller]
fn usertests(boot: fn(Boot) -> Boot, cpus: usize) {
    boot(Boot::program(&["usertests"]))
        .cpus(cpus)
        .deadline(LONG)
        .run()
        .assert_status(0)
        .assert_cpus(cpus);
}

#[track_caller]
fn forkstorm(boot: fn(Boot) -> Boot, cpus: usize) {
    boot(Boot::program(&["forkstorm"]))
        .cpus(cpus)
        .deadline(LONG)
        .run()
        .assert_status(0)
        .assert_cpus(cpus);
}

#[test]
fn one_cpu() {
    usertests(|boot| boot, 1);
    forkstorm(|boot| boot, 1);
}

#[test]
fn two_cpus() {
    forkstorm(|boot| boot, 2);
}

#[test]
fn three_cpus() {
    forkstorm(|boot| boot, 3);
}

#[test]
fn four_cpus() {
    usertests(|boot| boot, 4);
}

#[test]
fn eight_cpus() {
    forkstorm(|boot| boot, 8);
}

#[test]
fn each_way_to_fork() {
    usertests(|boot| boot.append("fork=cow"), 2);
    usertests(|boot| boot.append("fork=eager"), 2);
    usertests(|boot| boot.append("fork=naive"), 2);
}

#[test]
fn x2apic() {
    if !tests::qemu_has_x2apic() {
        eprintln!("this QEMU does not emulate x2APIC (9.0 and newer do): not tested");
        return;
    }
    let run = Boot::program(&["forkstorm"]).cpus(3).run();
    run.assert_status(0)
        .assert_cpus(3)
        .assert_log_has(&["x2APIC"]);
}

#[test]
fn xapic() {
    let run = Boot::program(&["forkstorm"])
        .cpus(3)
        .cpu_model("max,-x2apic")
        .run();
    run.assert_status(0)
        .assert_cpus(3)
        .assert_log_has(&[" xAPIC"]);
}

#[test]
fn five_levels() {
    let run = Boot::program(&["usertests"])
        .cpus(2)
        .append("la57=on")
        .deadline(LONG)
        .run();
    run.assert_status(0)
        .assert_cpus(2)
        .assert_log_has(&["5 levels"]);
}

#[test]
fn sixty_four_mebibytes() {
    usertests(|boot| boot.memory("64M"), 2);
}

#[test]
fn eight_gibibytes() {
    forkstorm(|boot| boot.memory("8G"), 4);
}

#[test]
fn sixteen_gibibytes_and_sixteen_cpus() {
    Boot::program(&["hello"])
        .cpus(16)
        .memory("16G")
        .run()
        .assert_status(0)
        .assert_cpus(16);
}

#[test]
fn sixty_four_cpus() {
    Boot::program(&["hello"])
        .cpus(64)
        .deadline(LONG)
        .run()
        .assert_status(0)
        .assert_cpus(64);
}

#[test]
fn two_hundred_and_fifty_five_cpus() {
    Boot::program(&["hello"])
        .cpus(255)
        .deadline(LONG)
        .run()
        .assert_status(0)
        .assert_cpus(255);
}

#[test]
fn a_topology_of_sockets_and_cores() {
    // The later --smp is the one that counts.
    let boot = Boot::program(&["hello"])
        .option("--smp")
        .option("6,sockets=2,cores=3");
    boot.run().assert_status(0).assert_cpus(6);
}

#[test]
fn too_little_memory_is_refused_with_the_reason() {
    let run = Boot::program(&["hello"]).cpus(1).memory("8M").run();
    run.assert_status(69).assert_console_has("memory");
}

#[test]
fn four_cpus_reach_user_mode_within_half_a_second() {
    let boot = Boot::program(&["hello"]).release();
    let times = [(); 3].map(|()| {
        boot.run()
            .assert_status(0)
            .booted()
            .map_or(u64::MAX, |(_, microseconds)| microseconds)
    });
    let best = times.into_iter().min().unwrap_or(u64::MAX);
    assert!(
        best < 500_000,
        "the best of {times:?} microseconds is too slow"
    );
}
