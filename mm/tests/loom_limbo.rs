//! Loom models of deferred shootdowns: `RUSTFLAGS="--cfg loom" cargo test -p mm --release --test loom_limbo`.
//!
//! The machine is that of the models of the flush protocol, under `shootdown=deferred`. With two CPUs every order is
//! explored, but those of two that wait for each other, and of three, only as far as they have few preemptions. A wait
//! that does not end is an error; and in the end, when every CPU has left the space and ticked, nothing may be left in
//! limbo.
#![cfg(loom)]

mod flush_model;

use flush_model::explore::{self, Cpu, Orders, Script};
use flush_model::{Machine, range};
use mm::flush::Strategy;

/// Explores what can happen on these CPUs, with room for one unmap of each; the first `senders` of them may ask others
/// for something. At last, CPU 0 does `after`, alone.
fn explore<const CPUS: usize>(orders: Orders, senders: usize, cpus: [Cpu; CPUS], after: Script) {
    explore::explore(Strategy::Deferred, 1, orders, senders, cpus, after);
}

fn nothing(_machine: &Machine) {}

fn use_page_0(machine: &Machine) {
    machine.enter();
    machine.access(0);
}

fn use_both_pages(machine: &Machine) {
    use_page_0(machine);
    machine.access(1);
}

fn page_0_is_free_after_a_tick(machine: &Machine) {
    machine.tick();
    assert!(machine.is_free(0), "a CPU still owes a sweep");
}

/// Unmaps a page that it uses itself.
const UNMAPS_0: Cpu = Cpu {
    before: use_page_0,
    beside: |machine| {
        machine.unmap_plainly(0);
        machine.access(0);
        machine.tick();
    },
};

#[test]
fn limbo_1_a_cpu_that_ticks_never_reads_a_freed_frame() {
    let ticks = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.tick();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, ticks], nothing);
}

/// One slot is filled while the other CPU sweeps for the other.
#[test]
fn limbo_1_what_is_unmapped_during_a_sweep_waits_for_the_next() {
    let unmaps_both = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.unmap_plainly(1);
            machine.tick();
        },
    };
    let sweeps = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.tick();
            machine.access(1);
        },
    };
    let cpus = [unmaps_both, sweeps];
    explore::explore(Strategy::Deferred, 2, Orders::All, 1, cpus, nothing);
}

/// Nobody asks it, and yet memory comes back.
#[test]
fn limbo_1_what_every_cpu_has_swept_is_free_at_the_next_tick() {
    let uses = Cpu {
        before: use_page_0,
        beside: |machine| machine.access(0),
    };
    let unmaps = Cpu {
        before: use_page_0,
        beside: |machine| machine.unmap_plainly(0),
    };
    explore(Orders::All, 1, [unmaps, uses], |machine| {
        assert!(!machine.is_free(0), "free before the sweep");
        machine.tick();
        assert!(!machine.is_free(0), "free before the sweep");
        assert_eq!(machine.asked(), 0);
    });
}

#[test]
fn limbo_2_a_cpu_that_becomes_idle_does_not_owe_anything_any_more() {
    let becomes_idle = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.become_idle();
        },
    };
    explore(
        Orders::All,
        1,
        [UNMAPS_0, becomes_idle],
        page_0_is_free_after_a_tick,
    );
}

#[test]
fn limbo_2_a_cpu_that_leaves_does_not_owe_anything_any_more() {
    let leaves = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.leave();
        },
    };
    explore(
        Orders::All,
        1,
        [UNMAPS_0, leaves],
        page_0_is_free_after_a_tick,
    );
}

#[test]
fn limbo_2_a_cpu_that_is_idle_for_a_moment_never_reads_a_freed_frame() {
    let is_idle_for_a_moment = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.become_idle();
            use_page_0(machine);
        },
    };
    explore(Orders::All, 1, [UNMAPS_0, is_idle_for_a_moment], nothing);
}

/// LIMBO-3: the page walker of an idle CPU may read the table at any time.
#[test]
fn limbo_3_a_batch_that_frees_a_table_is_completed_at_once() {
    let releases_table = Cpu {
        before: nothing,
        beside: |machine| {
            let mut batch = machine.batch();
            machine.unmap(0, &mut batch);
            machine.unmap(1, &mut batch);
            machine.release_table(&mut batch);
            batch.complete_unmap(range(0));
            assert!(machine.is_free(0));
        },
    };
    let is_idle = Cpu {
        before: |machine| {
            use_page_0(machine);
            machine.become_idle();
        },
        beside: |machine| {
            machine.walk(0);
            machine.poll();
            machine.walk(1);
        },
    };
    explore(Orders::All, 1, [releases_table, is_idle], nothing);
}

/// As when memory has run out, or accounts are read.
#[test]
fn draining_gives_back_what_the_other_cpu_had_not_swept() {
    let drains = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.drain();
            assert!(machine.is_free(0));
        },
    };
    let uses = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.poll();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [drains, uses], nothing);
}

/// It empties the limbo of a CPU that may empty it itself at its tick.
#[test]
fn a_cpu_may_drain_what_it_has_not_swept_itself() {
    let drains = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.drain();
            machine.access(0);
        },
    };
    explore(Orders::Preemptions(4), 2, [UNMAPS_0, drains], nothing);
}

#[test]
fn an_address_is_mapped_again_only_when_nobody_remembers_what_was_there() {
    let maps_again = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.map_again(0);
            machine.access_what_is_mapped_again(0);
        },
    };
    let uses = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access_what_is_mapped_again(0);
            machine.poll();
            machine.access_what_is_mapped_again(0);
        },
    };
    explore(Orders::All, 1, [maps_again, uses], nothing);
}

/// The one that maps is the one that owes.
#[test]
fn an_address_that_another_cpu_has_unmapped_is_mapped_again_after_a_sweep() {
    let maps_again = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.map_again(0);
            machine.access_what_is_mapped_again(0);
        },
    };
    let has_unmapped = Cpu {
        before: |machine| {
            use_page_0(machine);
            machine.unmap_plainly(0);
        },
        beside: |machine| {
            machine.access_what_is_mapped_again(0);
            machine.tick();
        },
    };
    explore(Orders::All, 1, [maps_again, has_unmapped], nothing);
}

#[test]
fn a_full_limbo_waits_for_the_oldest() {
    let unmaps_both = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.unmap_plainly(1);
            assert!(
                machine.is_free(0),
                "more is in limbo than there is room for"
            );
        },
    };
    let uses = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.access(0);
            machine.tick();
            machine.access(1);
        },
    };
    explore(Orders::All, 1, [unmaps_both, uses], nothing);
}

/// Whatever else takes something away asks at once, and what the other CPU has not heard of does not confuse it.
#[test]
fn a_page_is_replaced_at_once_while_another_is_in_limbo() {
    let unmaps_and_replaces = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.replace(1);
            machine.access(1);
        },
    };
    let uses = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.access(1);
            machine.tick();
            machine.access(0);
        },
    };
    explore(Orders::All, 1, [unmaps_and_replaces, uses], nothing);
}

#[test]
fn a_space_that_goes_leaves_nothing_in_limbo() {
    let retires = Cpu {
        before: nothing,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.retire();
            assert!(machine.is_free(0) && machine.is_free(1));
        },
    };
    let uses = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.access(0);
            machine.poll();
            machine.access(1);
        },
    };
    explore(Orders::All, 1, [retires, uses], nothing);
}

/// Each owes the other a sweep, and may wait for it.
#[test]
fn two_cpus_that_unmap_in_one_space_miss_nothing() {
    let unmaps_1 = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.unmap_plainly(1);
            machine.access(0);
            machine.tick();
        },
    };
    let unmaps_0_and_drains = Cpu {
        before: use_both_pages,
        beside: |machine| {
            machine.unmap_plainly(0);
            machine.access(1);
            machine.drain();
        },
    };
    explore(
        Orders::Preemptions(3),
        2,
        [unmaps_1, unmaps_0_and_drains],
        nothing,
    );
}

#[test]
fn a_third_cpu_drains_while_the_others_sweep() {
    let drains = Cpu {
        before: nothing,
        beside: Machine::drain,
    };
    let becomes_idle = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.become_idle();
        },
    };
    explore(
        Orders::Preemptions(1),
        2,
        [UNMAPS_0, drains, becomes_idle],
        page_0_is_free_after_a_tick,
    );
}

#[test]
fn a_slot_waits_for_two_cpus() {
    let ticks = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.tick();
            machine.access(0);
        },
    };
    let becomes_idle = Cpu {
        before: use_page_0,
        beside: |machine| {
            machine.access(0);
            machine.become_idle();
        },
    };
    explore(
        Orders::Preemptions(2),
        1,
        [UNMAPS_0, ticks, becomes_idle],
        nothing,
    );
}
