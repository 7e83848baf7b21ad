//! CPUs that change address spaces, and spaces that go while CPUs still have them.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use smp::{CpuId, host, irq, mailbox};

use super::{WRITE, address, frames_in_use, load, range, space_with, store};
use crate::error::SpaceError;
use crate::flush::leave;
use crate::hw::user_access::host::translate;
use crate::hw::{self, host::machine};
use crate::kernel_map;
use crate::space::{ForkPolicy, Region, Space, activate, become_idle};

#[test]
fn activating_the_space_that_is_loaded_loads_nothing() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    activate(&space, &irq::disable());
    let (root, before) = (hw::current_root(), hw::host::flushes());
    become_idle(&irq::disable());
    activate(&space, &irq::disable());
    activate(&space, &irq::disable());
    assert_eq!((hw::current_root(), hw::host::flushes()), (root, before));
}

#[test]
fn an_idle_cpu_catches_up_with_what_was_removed_meanwhile() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    store(&space, 0, 1).unwrap();
    become_idle(&irq::disable());
    space.remove(range(0, 1)).unwrap();
    let before = hw::host::flushes();
    activate(&space, &irq::disable());
    assert_eq!(hw::host::flushes().all, before.all + 1);
}

#[test]
fn a_destroyed_space_is_empty_and_stays_so() {
    let _machine = machine();
    let before = frames_in_use();
    let space = space_with(0, 1, WRITE);
    store(&space, 0, 1).unwrap();
    space.destroy();
    assert_eq!(frames_in_use(), before);
    assert_eq!(Some(hw::current_root()), kernel_map::root_pa());
    assert!(load(&space, 0).is_err());
    assert_eq!(Some(hw::current_root()), kernel_map::root_pa());
    let region = Region::anonymous(range(0, 1), WRITE, super::LAZY);
    assert_eq!(space.add(region), Err(SpaceError::NotMapped));
    assert_eq!(space.page_alloc(range(0, 1)), Err(SpaceError::NotMapped));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn a_cpu_that_is_idle_in_a_space_leaves_it_before_the_space_is_freed() {
    let _machine = machine();
    let before = frames_in_use();
    let space = space_with(0, 1, WRITE);
    let shared = space.clone();
    let (loaded, has_loaded) = channel();
    let other = thread::spawn(move || {
        host::become_cpu(CpuId::new(1));
        activate(&shared, &irq::disable());
        become_idle(&irq::disable());
        drop(shared);
        loaded.send(hw::current_root()).unwrap();
        while Some(hw::current_root()) != kernel_map::root_pa() {
            mailbox::serve_requests();
            thread::yield_now();
        }
    });
    assert_ne!(Some(has_loaded.recv().unwrap()), kernel_map::root_pa());
    assert_eq!(Arc::strong_count(&space), 1);
    drop(space);
    assert_eq!(frames_in_use(), before);
    other.join().unwrap();
}

/// Lets CPU 1 run in `space` and not answer, while CPU 0 does `change`, until page 0 is no longer `was_there`. Then the
/// lock has to be held still, since the answer is missing.
fn check_lock_is_held_until_all_have_answered(
    space: &Arc<Space>,
    was_there: fn() -> bool,
    change: impl FnOnce(),
) {
    let other_cpus = space.clone();
    let (ready, is_ready) = channel();
    let other = thread::spawn(move || {
        host::become_cpu(CpuId::new(1));
        store(&other_cpus, 0, 5).unwrap();
        ready.send(()).unwrap();
        while was_there() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(30));
        let is_held = other_cpus.memory.is_taken_racy();
        leave(&irq::disable());
        mailbox::serve_requests();
        is_held
    });
    is_ready.recv().unwrap();
    change();
    assert!(other.join().unwrap(), "SPACE-5");
}

#[test]
fn a_removed_page_is_gone_from_all_cpus_before_another_can_be_put_there() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    check_lock_is_held_until_all_have_answered(
        &space,
        || translate(address(0), false).is_some(),
        || space.remove(range(0, 1)).unwrap(),
    );
}

#[test]
fn a_fork_has_taken_rights_from_all_cpus_before_a_fault_can_copy() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    check_lock_is_held_until_all_have_answered(
        &space,
        || translate(address(0), true).is_some(),
        || drop(space.fork(ForkPolicy::CopyOnWrite).unwrap()),
    );
}
