//! Threads that use the same memory, and what they need for that.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use ulib::sync::{Barrier, Condvar, Mutex, Once};
use ulib::{print, println, process, thread};

use crate::ok;

pub(crate) fn show(count: usize) {
    println!("Shared memory: the threads use the same variables.");
    add(count);
    take_turns(count);
    meet(count);
    set_up_once(count);
    println!();
}

/// Runs `body` in `count` threads at once, each with its number, until all have returned.
fn run_in_threads(count: usize, body: impl Fn(usize) + Sync) {
    let body = &body;
    thread::scope(|scope| {
        for number in 0..count {
            ok(scope.spawn(move || body(number)));
        }
    });
}

/// A mutex: each addition is a load and a store, between which nobody else comes.
fn add(count: usize) {
    const ADDITIONS: usize = 1000;
    let sum = Mutex::new(0);
    run_in_threads(count, |_| {
        for addition in 0..ADDITIONS {
            let mut sum = sum.lock();
            let before = *sum;
            if addition % 100 == 0 {
                // Others would come in between, if they could.
                process::yield_now();
            }
            *sum = before + 1;
        }
    });
    let sum = sum.into_inner();
    println!("  mutex    {ADDITIONS} additions of 1 by each of {count} make {sum}");
    assert_eq!(sum, count * ADDITIONS);
}

/// A condition variable: each waits until it is its turn. The last to be created has the first.
fn take_turns(count: usize) {
    let (order, changed) = (Mutex::new(Vec::new()), Condvar::new());
    run_in_threads(count, |number| {
        let turn = count - 1 - number;
        let mut order = changed.wait_while(order.lock(), |order| order.len() != turn);
        order.push(number);
        drop(order);
        changed.notify_all();
    });
    let order = order.into_inner();
    print!("  condvar  they take turns:");
    order.iter().for_each(|number| print!(" {number}"));
    println!();
    assert!(order.iter().copied().eq((0..count).rev()), "{order:?}");
}

/// A barrier: in each round all come before anybody goes on, and one is the leader.
fn meet(count: usize) {
    const ROUNDS: usize = 20;
    let barrier = Barrier::new(count);
    let [arrivals, leaders] = [const { AtomicUsize::new(0) }; 2];
    run_in_threads(count, |_| {
        for round in 1..=ROUNDS {
            // Relaxed, here and below: the barrier orders what comes before it with what comes after it.
            arrivals.fetch_add(1, Ordering::Relaxed);
            let is_leader = barrier.wait();
            leaders.fetch_add(usize::from(is_leader), Ordering::Relaxed);
            let arrived = arrivals.load(Ordering::Relaxed);
            assert!(arrived == round * count, "{arrived} came to round {round}");
            barrier.wait();
        }
    });
    let leaders = leaders.into_inner();
    println!("  barrier  {ROUNDS} rounds, {leaders} leaders, and nobody was ahead of the others");
    assert_eq!(leaders, ROUNDS);
}

/// Something that all need and one does.
fn set_up_once(count: usize) {
    let (once, calls) = (Once::new(), AtomicUsize::new(0));
    run_in_threads(count, |_| {
        once.call_once(|| {
            process::yield_now();
            // Relaxed: `once` orders it.
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
    println!(
        "  once     all wanted it done, {} did it",
        calls.into_inner()
    );
}
