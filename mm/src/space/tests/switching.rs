//! CPUs that change address spaces, and spaces that go while CPUs still have them.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use smp::{CpuId, host, irq, mailbox};

use super::{WRITE, frames_in_use, load, space_with, store};
use crate::error::SpaceError;
use crate::hw::{self, host::machine};
use crate::kernel_map;
use crate::space::{Region, activate, become_idle};

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
    space.remove(super::range(0, 1)).unwrap();
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
    let region = Region::anonymous(super::range(0, 1), WRITE, super::LAZY);
    assert_eq!(space.add(region), Err(SpaceError::NotMapped));
    assert_eq!(
        space.page_alloc(super::range(0, 1)),
        Err(SpaceError::NotMapped)
    );
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
            mailbox::serve_flush_requests();
            thread::yield_now();
        }
    });
    assert_ne!(Some(has_loaded.recv().unwrap()), kernel_map::root_pa());
    assert_eq!(Arc::strong_count(&space), 1);
    drop(space);
    assert_eq!(frames_in_use(), before);
    other.join().unwrap();
}
