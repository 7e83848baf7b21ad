//! One thread plays both who waits for a lock and who overtakes him whenever he can.

use std::cell::Cell;

use super::{Access, ReadGuard, RwLock, Sleeper, WriteGuard};

#[cfg(not(loom))]
fn once(run: impl Fn()) {
    run();
}

/// The lock's words are loom's.
#[cfg(loom)]
fn once(run: impl Fn() + Sync + Send + 'static) {
    loom::model(run);
}

/// Somebody who has the lock whenever he can: he gives it back when another sleeps, and takes it before that one runs.
struct Overtaker {
    has: Cell<Option<Access>>,
    sleeps: Cell<usize>,
}

// SAFETY: one thread does everything.
unsafe impl Sync for Overtaker {}

type Overtaken = RwLock<(), Overtaker>;

impl Overtaken {
    fn overtake(&self, access: Access) {
        self.sleeper
            .has
            .set(self.try_access(access).then_some(access));
    }

    fn give_back(&self) {
        match self.sleeper.has.take() {
            Some(Access::Read) => drop(ReadGuard { lock: self }),
            Some(Access::Write) => drop(WriteGuard { lock: self }),
            None => {}
        }
    }
}

impl Sleeper for Overtaker {
    fn wait_while(&self, key: usize, is_to_wait: &dyn Fn() -> bool) {
        // SAFETY: the key is the address of the lock whose sleeper this is, which is being waited for.
        let lock = unsafe { &*std::ptr::with_exposed_provenance::<Overtaken>(key) };
        while is_to_wait() {
            self.sleeps.set(self.sleeps.get() + 1);
            let access = self.has.get().expect("a sleeper whom nobody wakes");
            lock.give_back();
            assert!(!is_to_wait(), "not woken");
            lock.overtake(access);
            // A third one comes, too.
            lock.mark_waiting();
            assert!(self.sleeps.get() <= 10, "starved");
        }
    }

    fn wake_all(&self, _key: usize) {}
}

/// How often `waiter` sleeps who waits for the lock that somebody takes for `other` again and again.
fn sleeps_of(waiter: Access, other: Access) -> usize {
    let lock = RwLock::with_sleeper(
        (),
        Overtaker {
            has: Cell::new(None),
            sleeps: Cell::new(0),
        },
    );
    std::ptr::from_ref(&lock).expose_provenance();
    lock.overtake(other);
    match waiter {
        Access::Read => drop(lock.read()),
        Access::Write => drop(lock.write()),
    }
    assert!(!lock.is_taken_racy());
    lock.sleeper.sleeps.get()
}

#[test]
fn rw_3_who_is_overtaken_again_and_again_gets_the_lock_all_the_same() {
    let (read, write) = (Access::Read, Access::Write);
    for (waiter, other) in [(write, write), (write, read), (read, write)] {
        once(move || assert_eq!(sleeps_of(waiter, other), 3));
    }
}
