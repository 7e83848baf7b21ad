use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{LockStatistics, SpinLock, set_statistics, statistics};
use crate::rank::{self, Rank};
use crate::{CpuId, host, irq};

#[test]
fn threads_exclude_each_other() {
    let count = SpinLock::<u64, rank::File>::new(0);
    thread::scope(|scope| {
        for cpu in 0..4 {
            let count = &count;
            scope.spawn(move || {
                host::become_cpu(CpuId::new(cpu));
                (0..10_000).for_each(|_| *count.lock() += 1);
            });
        }
    });
    assert_eq!(count.into_inner(), 40_000);
}

#[test]
fn a_masking_lock_takes_interrupts_after_its_release_only() {
    let lock: &'static SpinLock<(), rank::Log> = std::boxed::Box::leak(std::boxed::Box::default());
    let interrupts = Rc::new(Cell::new(0));
    let seen = interrupts.clone();
    host::on_interrupt(move || {
        assert!(
            lock.try_lock().is_some(),
            "interrupted while the lock is held"
        );
        seen.set(seen.get() + 1);
    });
    let guard = lock.lock();
    host::poll_interrupt();
    assert_eq!(interrupts.get(), 0);
    drop(guard);
    assert!(interrupts.get() > 0);
}

#[test]
fn a_lock_that_does_not_mask_leaves_interrupts_alone() {
    let lock = SpinLock::<(), rank::Heap>::new(());
    let _guard = lock.lock();
    assert!(irq::are_enabled());
}

#[test]
fn try_lock_of_a_held_lock_restores_interrupts() {
    let lock = SpinLock::<(), rank::Log>::new(());
    let _guard = lock.lock();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(lock.try_lock().is_none());
            assert!(irq::are_enabled());
        });
    });
}

#[test]
#[should_panic(
    expected = "LOCK-1: a lock of rank Heap is taken while one of rank FramesPool is held"
)]
fn taking_a_lower_rank_second_panics() {
    let (heap, frames) = (
        SpinLock::<(), rank::Heap>::new(()),
        SpinLock::<(), rank::FramesPool>::new(()),
    );
    let _frames = frames.lock();
    let _heap = heap.lock();
}

#[test]
#[should_panic(expected = "LOCK-1")]
fn taking_the_same_rank_twice_panics() {
    let locks = [const { SpinLock::<(), rank::Heap>::new(()) }; 2];
    let _guards = [locks[0].lock(), locks[1].lock()];
}

#[test]
fn locks_are_given_back_in_any_order() {
    let (heap, frames) = (
        SpinLock::<(), rank::Heap>::new(()),
        SpinLock::<(), rank::FramesPool>::new(()),
    );
    let (first, second) = (heap.lock(), frames.lock());
    drop(first);
    let again = heap.try_lock().expect("it is free");
    drop(second);
    drop(again);
    drop((heap.lock(), frames.lock()));
}

#[test]
#[should_panic(expected = "LOCK-2: an interrupt handler takes a lock of rank Heap")]
fn a_handler_that_takes_a_lock_which_does_not_mask_panics() {
    let lock = SpinLock::<(), rank::Heap>::new(());
    let _handler = irq::enter_handler();
    drop(lock.lock());
}

/// Statistics are counted for the whole process; no other test uses this rank.
type CountedRank = rank::PtableSlot;

fn counted() -> LockStatistics {
    let (_, counts) = statistics()
        .find(|(rank, _)| rank.name == CountedRank::NAME)
        .expect("it is in the table");
    counts
}

#[test]
fn statistics_count_while_they_are_kept() {
    let (lock, waits) = (
        SpinLock::<(), CountedRank>::new(()),
        Arc::new(AtomicBool::new(false)),
    );
    drop(lock.lock());
    assert_eq!(counted(), LockStatistics::default());
    set_statistics(true);
    drop(lock.lock());
    thread::scope(|scope| {
        let guard = lock.lock();
        let (lock, waits_there) = (&lock, waits.clone());
        scope.spawn(move || {
            host::on_interrupt(move || waits_there.store(true, Ordering::Relaxed));
            drop(lock.lock());
        });
        while !waits.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        drop(guard);
    });
    set_statistics(false);
    assert_eq!((counted().acquisitions, counted().contended), (3, 1));
    assert!(counted().spins > 0);
}
