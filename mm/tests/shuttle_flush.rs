//! Random schedules of the flush protocol on four CPUs:
//! `RUSTFLAGS="--cfg shuttle" ARGONAUT_SCHEDULES=1000000 cargo test -p mm --release --test shuttle_flush`.
//!
//! The machine is that of the loom models. Four CPUs have too many orders to explore; here so many of them are tried,
//! each chosen at random. A schedule in which something fails is printed, and so is one that does not end.
#![cfg(shuttle)]

mod flush_model;

use flush_model::Machine;
use mm::flush::Strategy;
use shuttle::thread;

const CPUS: usize = 4;
const DEFAULT_SCHEDULES: usize = 1000;
/// How many unmaps of one CPU can wait in limbo.
const SLOTS: usize = 2;

type Script = fn(&Machine);

/// Tries what each CPU does beside the others; the first `senders` of them change something.
fn try_schedules(strategy: Strategy, senders: usize, cpus: [Script; CPUS]) {
    let schedules = match std::env::var("ARGONAUT_SCHEDULES") {
        Ok(schedules) => schedules.parse().expect("ARGONAUT_SCHEDULES is a number"),
        Err(_) => DEFAULT_SCHEDULES,
    };
    let one_schedule = move || {
        let machine = Machine::new(CPUS, senders, strategy, SLOTS);
        let others: Vec<_> = (1..CPUS)
            .map(|number| {
                let machine = machine.clone();
                thread::spawn(move || machine.play(number, cpus[number]))
            })
            .collect();
        machine.play(0, cpus[0]);
        others.into_iter().for_each(|other| other.join().unwrap());
        for number in 0..CPUS {
            machine.alone(number, Machine::leave);
        }
        assert!(!machine.is_loaded_anywhere());
        for number in 0..CPUS {
            machine.alone(number, Machine::tick);
        }
        assert!(machine.is_limbo_empty());
    };
    shuttle::check_random(one_schedule, schedules);
}

fn use_both_pages(machine: &Machine) {
    machine.enter();
    machine.access(0);
    machine.access(1);
}

fn replace_0(machine: &Machine) {
    use_both_pages(machine);
    machine.replace(0);
    use_both_pages(machine);
}

fn unmap_1(machine: &Machine) {
    let mut batch = machine.batch();
    machine.unmap(1, &mut batch);
    batch.complete();
}

fn be_idle_now_and_then(machine: &Machine) {
    for _ in 0..2 {
        use_both_pages(machine);
        machine.become_idle();
        machine.walk(1);
        machine.poll();
    }
    use_both_pages(machine);
}

fn come_and_go(machine: &Machine) {
    for _ in 0..2 {
        use_both_pages(machine);
        machine.poll();
        machine.access(0);
        machine.leave();
    }
}

#[test]
fn two_cpus_change_a_space_that_others_come_to_and_leave() {
    let cpus = [replace_0, unmap_1, be_idle_now_and_then, come_and_go];
    try_schedules(Strategy::Targeted, 2, cpus);
}

#[test]
fn two_cpus_tell_everybody_of_each_change() {
    let cpus = [replace_0, unmap_1, be_idle_now_and_then, come_and_go];
    try_schedules(Strategy::Broadcast, 2, cpus);
}

#[test]
fn a_space_is_given_back_while_others_come_to_it_and_leave() {
    let cpus = [
        Machine::retire,
        use_both_pages,
        be_idle_now_and_then,
        come_and_go,
    ];
    try_schedules(Strategy::Targeted, 1, cpus);
}

fn unmap_both_plainly(machine: &Machine) {
    use_both_pages(machine);
    machine.unmap_plainly(0);
    machine.unmap_plainly(1);
    machine.tick();
    machine.map_again(0);
    machine.access_what_is_mapped_again(0);
}

fn tick_and_drain(machine: &Machine) {
    use_both_pages(machine);
    machine.tick();
    machine.access_what_is_mapped_again(0);
    machine.drain();
    machine.access(1);
}

fn tick_and_be_idle(machine: &Machine) {
    for _ in 0..2 {
        use_both_pages(machine);
        machine.tick();
        machine.access_what_is_mapped_again(0);
        machine.become_idle();
    }
}

#[test]
fn what_a_cpu_unmaps_waits_in_limbo_while_another_drains_and_others_come_and_leave() {
    let cpus = [
        unmap_both_plainly,
        tick_and_drain,
        tick_and_be_idle,
        come_and_go,
    ];
    try_schedules(Strategy::Deferred, 2, cpus);
}
