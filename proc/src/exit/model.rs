//! Loom model of EXIT-2: `RUSTFLAGS="--cfg loom" cargo test -p proc --release exit::model`.

use alloc::sync::Arc;

use loom::thread;
use mm::aspace::SpaceRef;

use super::{give_children, publish};
use crate::file::Descriptors;
use crate::name::Name;
use crate::process::Process;
use crate::thread::Id;

fn process(id: Id, parent: Option<&Arc<Process>>) -> Arc<Process> {
    let descriptors = Descriptors::new();
    let new = Process::new(
        id,
        Name::new("model"),
        SpaceRef::Base,
        descriptors,
        parent.cloned(),
    );
    let process = Arc::new(new);
    // Loom wants its atomics made before they are shared.
    drop((process.parent.lock(), process.family.lock()));
    process.child_ended.wake_all();
    assert_eq!(process.status(), None);
    if let Some(parent) = parent {
        parent.family.lock().alive.push_back(process.clone());
    }
    process
}

/// EXIT-2.
#[test]
fn a_child_that_ends_while_its_parent_does_becomes_a_zombie_of_init() {
    smp::wait::set_spin_limit(0);
    loom::model(|| {
        let init = process(1, None);
        let parent = process(2, None);
        let child = process(3, Some(&parent));
        let ending = child.clone();
        let burying = thread::spawn(move || publish(ending));
        give_children(&parent, &init);
        burying.join().unwrap();
        let (parent, init) = (parent.family.lock(), init.family.lock());
        assert!(parent.alive.is_empty() && parent.zombies.is_empty());
        assert!(init.alive.is_empty() && init.zombies.contains(&child));
        assert_eq!(child.parent_id(), 1);
    });
}
