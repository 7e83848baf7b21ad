//! Loom models of the flush protocol: `RUSTFLAGS="--cfg loom" cargo test -p mm --release --test loom_flush`.
//!
//! With two CPUs every order is explored, but those of two CPUs that wait for each other, and of three, only as far as
//! they have few preemptions. A wait that does not end is an error.
#![cfg(loom)]

mod flush_model;

use flush_model::Machine;
use flush_model::explore::{self, Cpu, Orders};
use mm::flush::Strategy;

/// As the kernel usually tells other CPUs.
fn explore<const CPUS: usize>(orders: Orders, senders: usize, cpus: [Cpu; CPUS]) {
    explore::explore(Strategy::Targeted, 1, orders, senders, cpus, nothing);
}

fn nothing(_machine: &Machine) {}

fn unmap_0(machine: &Machine) {
    unmap(machine, 0);
}

fn unmap(machine: &Machine, page: usize) {
    let mut batch = machine.batch();
    machine.unmap(page, &mut batch);
    batch.complete();
}

fn use_page_0(machine: &Machine) {
    machine.enter();
    machine.access(0);
}

fn use_both_pages(machine: &Machine) {
    use_page_0(machine);
    machine.access(1);
}

fn use_page_0_and_become_idle(machine: &Machine) {
    use_page_0(machine);
    machine.become_idle();
}

/// Unmaps a page from outside of the space.
const UNMAPS_0: Cpu = Cpu {
    before: nothing,
    beside: unmap_0,
};

/// Gives back the table, from outside of the space.
const RELEASES_TABLE: Cpu = Cpu {
    before: nothing,
    beside: |machine| {
        let mut batch = machine.batch();
        machine.unmap(0, &mut batch);
        machine.unmap(1, &mut batch);
        machine.release_table(&mut batch);
    },
};

#[test]
fn tlb_3_a_cpu_that_switches_in_never_reads_a_freed_frame() {
    let switches_in = Cpu {
        before: nothing,
        beside: |machine| {
            use_page_0(machine);
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, switches_in]);
}

#[test]
fn tlb_1_a_cpu_that_uses_the_space_is_waited_for() {
    let uses = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.poll();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, uses]);
}

/// And uses the space's frames until it has left.
#[test]
fn tlb_2_a_cpu_that_leaves_is_waited_for_or_gone() {
    let leaves = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.leave();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, leaves]);
}

#[test]
fn tlb_2_a_cpu_that_was_idle_catches_up_before_it_uses_the_space() {
    let leaves_idleness = Cpu {
        before: use_page_0_and_become_idle,
        beside: use_page_0,
    };
    explore(Orders::All, 1, [UNMAPS_0, leaves_idleness]);
}

#[test]
fn tlb_2_a_cpu_that_is_idle_for_a_moment_misses_nothing() {
    let is_idle_for_a_moment = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.become_idle();
            use_page_0(machine);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, is_idle_for_a_moment]);
}

#[test]
fn tlb_2_what_changes_while_a_cpu_catches_up_is_not_forgotten() {
    let unmaps_one_after_the_other = Cpu {
        before: nothing,
        beside: |machine| {
            unmap(machine, 0);
            unmap(machine, 1);
        },
    };
    let leaves_idleness = Cpu {
        before: use_page_0_and_become_idle,
        beside: |machine| {
            machine.enter();
            machine.poll();
            machine.access(1);
        },
    };
    explore(
        Orders::All,
        1,
        [unmaps_one_after_the_other, leaves_idleness],
    );
}

/// The processor may walk the page table at any time, also while the CPU is idle in the space.
#[test]
fn tlb_1_the_page_walker_of_an_idle_cpu_never_reads_a_freed_table() {
    let is_idle = Cpu {
        before: use_page_0_and_become_idle,
        beside: |machine| {
            machine.walk(0);
            machine.poll();
            machine.walk(1);
        },
    };
    explore(Orders::All, 1, [RELEASES_TABLE, is_idle]);
}

#[test]
fn tlb_1_the_page_walker_of_a_cpu_that_leaves_never_reads_a_freed_table() {
    let leaves = Cpu {
        before: use_page_0_and_become_idle,
        beside: |machine| {
            machine.leave();
            machine.walk(0);
        },
    };
    explore(Orders::All, 1, [RELEASES_TABLE, leaves]);
}

/// While one CPU waits for the other, the other may ask it for something, and both get on.
#[test]
fn tlb_4_two_cpus_that_unmap_in_one_space_miss_nothing() {
    let unmaps_1 = Cpu {
        before: use_both_pages,
        beside: |machine| {
            unmap(machine, 1);
            machine.access(0);
        },
    };
    let unmaps_0 = Cpu {
        before: use_both_pages,
        beside: |machine| {
            unmap(machine, 0);
            machine.access(1);
        },
    };
    explore(Orders::Preemptions(4), 2, [unmaps_1, unmaps_0]);
}

/// What is written to the frame that was replaced would be lost.
#[test]
fn tlb_5_no_cpu_uses_the_old_frame_once_another_has_been_put_in_its_place() {
    let replaces = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.replace(0);
            machine.access(0);
        },
    };
    let uses = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.poll();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [replaces, uses]);
}

/// A thread of the space may be about to run elsewhere when the space is given back.
#[test]
fn a_whole_table_is_freed_only_when_no_cpu_can_look_at_it() {
    let retires = Cpu {
        before: nothing,
        beside: Machine::retire,
    };
    let switches_in = Cpu {
        before: nothing,
        beside: use_page_0,
    };
    let is_idle = Cpu {
        before: use_page_0_and_become_idle,
        beside: |machine| {
            machine.walk(1);
            machine.enter();
            machine.access(1);
        },
    };
    explore(Orders::All, 1, [retires, switches_in]);
    explore(Orders::All, 1, [retires, is_idle]);
}

/// Two generations at once: the third CPU may be asked for the later one first.
#[test]
fn generations_of_two_cpus_merge() {
    let unmaps_1 = Cpu {
        before: nothing,
        beside: |machine| unmap(machine, 1),
    };
    let uses = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.poll();
            machine.access(0);
            machine.access(1);
        },
    };
    explore(Orders::Preemptions(2), 2, [UNMAPS_0, unmaps_1, uses]);
}

#[test]
fn a_cpu_that_leaves_and_one_that_leaves_idleness_miss_nothing() {
    let leaves = Cpu {
        before: use_page_0,
        beside: Machine::leave,
    };
    let leaves_idleness = Cpu {
        before: use_page_0_and_become_idle,
        beside: use_page_0,
    };
    explore(
        Orders::Preemptions(2),
        1,
        [UNMAPS_0, leaves, leaves_idleness],
    );
}
