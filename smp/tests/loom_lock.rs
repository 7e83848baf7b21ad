//! Loom models of the spin lock: `RUSTFLAGS="--cfg loom" cargo test -p smp --release --test 'loom_*'`.
#![cfg(loom)]

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use smp::mailbox::{Bell, Mailboxes, Request};
use smp::pin::pin;
use smp::wait::{SpinWait, set_spin_limit};
use smp::{CpuId, CpuSet, IrqOff, SpinLock, host, lock::RawLock, rank};

/// The lock and what it guards, whose accesses loom watches.
struct Guarded<R: rank::Rank> {
    lock: SpinLock<(), R>,
    value: UnsafeCell<usize>,
}

// SAFETY: that is what the model is to find out.
unsafe impl<R: rank::Rank> Sync for Guarded<R> {}

impl<R: rank::Rank> Guarded<R> {
    fn new() -> Arc<Guarded<R>> {
        set_spin_limit(0);
        let guarded = Guarded {
            lock: SpinLock::new(()),
            value: UnsafeCell::new(0),
        };
        drop(guarded.lock.lock());
        Arc::new(guarded)
    }

    fn add_one(&self) {
        let _guard = self.lock.lock();
        // SAFETY: the lock is held.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }
}

fn each_cpu_adds<R: rank::Rank>(cpus: usize, times: usize) {
    let guarded = Guarded::<R>::new();
    let play = move |cpu: usize, guarded: &Guarded<R>| {
        host::become_cpu(CpuId::new(cpu));
        (0..times).for_each(|_| guarded.add_one());
    };
    let others: Vec<_> = (1..cpus)
        .map(|cpu| {
            let guarded = guarded.clone();
            thread::spawn(move || play(cpu, &guarded))
        })
        .collect();
    play(0, &guarded);
    others.into_iter().for_each(|other| other.join().unwrap());
    let _guard = guarded.lock.lock();
    // SAFETY: the lock is held.
    assert_eq!(guarded.value.with(|value| unsafe { *value }), cpus * times);
}

#[test]
fn two_cpus_exclude_each_other() {
    loom::model(|| each_cpu_adds::<rank::Heap>(2, 2));
}

#[test]
fn two_cpus_exclude_each_other_with_interrupts_masked() {
    loom::model(|| each_cpu_adds::<rank::Log>(2, 2));
}

#[test]
fn three_cpus_exclude_each_other() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| each_cpu_adds::<rank::Heap>(3, 1));
}

#[test]
fn try_lock_fails_or_excludes() {
    loom::model(|| {
        let guarded = Guarded::<rank::Heap>::new();
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || {
                host::become_cpu(CpuId::new(1));
                guarded.add_one();
            })
        };
        if let Some(_guard) = guarded.lock.try_lock() {
            // SAFETY: the lock is held.
            guarded.value.with_mut(|value| unsafe { *value += 1 });
        }
        other.join().unwrap();
    });
}

/// Nobody takes this model's interrupts: all are off.
struct NoBell;

impl Bell for NoBell {
    fn ring(&self, _targets: &CpuSet, _off: &IrqOff) {}
}

fn nothing(_words: &[usize], _off: &IrqOff) {}

/// TLB-4: the holder waits for the answer of the CPU that waits for its lock.
#[test]
fn a_cpu_that_waits_for_a_lock_serves_flush_requests() {
    loom::model(|| {
        set_spin_limit(0);
        let machine = Arc::new((RawLock::new(), Mailboxes::new(2, NoBell).unwrap()));
        assert!(machine.1.are_idle());
        let holder = {
            let machine = machine.clone();
            assert!(machine.0.try_acquire(1));
            thread::spawn(move || {
                host::become_cpu(CpuId::new(1));
                let request = Request::of(nothing);
                machine
                    .1
                    .send(&pin(), &CpuSet::single(CpuId::BOOT), request)
                    .wait();
                machine.0.release();
            })
        };
        let (pinned, mut wait) = (smp::irq::disable(), SpinWait::new());
        machine.0.acquire_waiting(1, |_| {
            machine.1.serve_requests(&pinned);
            assert!(wait.turn());
        });
        holder.join().unwrap();
    });
}
