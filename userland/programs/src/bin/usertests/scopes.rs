//! Threads as the library makes them: scopes, and what becomes of threads and stacks that nobody wants.

use alloc::sync::Arc;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ulib::sync::Mutex;
use ulib::{Errno, process, thread};

use crate::check::ok;
use crate::runner::tests;
use crate::thread_tools::exit_thread;

tests![
    a_scope_waits_for_threads_without_handles,
    a_scope_waits_for_threads_of_its_threads,
    a_thread_of_a_scope_can_be_joined_by_another,
    a_scope_is_nothing_to_the_child_of_a_fork,
    a_stack_from_which_others_may_borrow_is_not_used_again,
    a_thread_without_handle_is_joined_by_the_library,
];

/// Time for other threads to go on, if they can.
const A_WHILE_MS: u64 = 5;

fn a_scope_waits_for_threads_without_handles() {
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            drop(ok(scope.spawn(|| {
                process::sleep_ms(A_WHILE_MS);
                // Relaxed: joining orders it.
                ended.fetch_add(1, Ordering::Relaxed);
            })));
        }
        core::mem::forget(ok(scope.spawn(|| {
            process::sleep_ms(A_WHILE_MS);
            ended.fetch_add(1, Ordering::Relaxed);
            exit_thread(0)
        })));
    });
    assert_eq!(ended.into_inner(), 5);
}

fn a_scope_waits_for_threads_of_its_threads() {
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            ok(scope.spawn(|| {
                process::sleep_ms(A_WHILE_MS);
                ok(scope.spawn(|| {
                    process::sleep_ms(A_WHILE_MS);
                    ended.fetch_add(1, Ordering::Relaxed);
                }));
            }));
        }
    });
    assert_eq!(ended.into_inner(), 3);
}

/// Also if the scope has waited for it before.
fn a_thread_of_a_scope_can_be_joined_by_another() {
    let joined = AtomicUsize::new(0);
    thread::scope(|scope| {
        let place = Arc::new(Mutex::new(None));
        let early = ok(scope.spawn(|| 1));
        let place_of_late = place.clone();
        ok(scope.spawn(|| {
            process::sleep_ms(A_WHILE_MS);
            let late = place_of_late.lock().take();
            let handles = [Some(early), late].into_iter().flatten();
            let sum = handles.filter_map(|handle| handle.join()).sum();
            joined.store(sum, Ordering::Relaxed);
            drop(place_of_late);
        }));
        *place.lock() = Some(ok(scope.spawn(|| 2)));
    });
    assert_eq!(joined.into_inner(), 3);
}

fn a_scope_is_nothing_to_the_child_of_a_fork() {
    let is_over = AtomicBool::new(false);
    let pid = process::getpid();
    let child = thread::scope(|scope| {
        ok(scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                process::yield_now();
            }
        }));
        let fork = ok(process::fork());
        if let process::Fork::Parent(_) = fork {
            is_over.store(true, Ordering::Relaxed);
        }
        fork
    });
    match child {
        // Back at once, though `is_over` stays false here.
        process::Fork::Child => process::exit(7),
        process::Fork::Parent(child) => {
            let status = ok(process::wait(child));
            assert_eq!(status, ulib::ExitStatus::exited(7));
        }
    }
    assert_eq!(process::getpid(), pid);
}

fn a_stack_from_which_others_may_borrow_is_not_used_again() {
    const WORDS: usize = 64;
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    static MAY_LOOK: AtomicBool = AtomicBool::new(false);
    static HAS_LOOKED: AtomicBool = AtomicBool::new(false);
    let lender = ok(thread::spawn(|| {
        let words = [7; WORDS];
        thread::scope(|scope| {
            ok(scope.spawn(|| {
                HAS_BEGUN.store(true, Ordering::Relaxed);
                wait_for(&MAY_LOOK);
                assert_eq!(black_box(&words), &[7; WORDS], "somebody else's stack");
                HAS_LOOKED.store(true, Ordering::Relaxed);
            }));
            wait_for(&HAS_BEGUN);
            exit_thread(0)
        })
    }));
    assert_eq!(lender.join(), None);
    for _ in 0..4 {
        let user = ok(thread::spawn(|| {
            black_box(&mut [0_u64; 8 * WORDS]);
        }));
        assert_eq!(user.join(), Some(()));
    }
    MAY_LOOK.store(true, Ordering::Relaxed);
    wait_for(&HAS_LOOKED);
}

/// Also one that has itself started threads.
fn a_thread_without_handle_is_joined_by_the_library() {
    static MAY_SPAWN: AtomicBool = AtomicBool::new(false);
    static HAS_SPAWNED: AtomicBool = AtomicBool::new(false);
    let handle = ok(thread::spawn(|| {
        wait_for(&MAY_SPAWN);
        let other = ok(thread::spawn(|| ()));
        assert_eq!(other.join(), Some(()));
        HAS_SPAWNED.store(true, Ordering::Relaxed);
    }));
    let tid = handle.tid();
    drop(handle);
    MAY_SPAWN.store(true, Ordering::Relaxed);
    wait_for(&HAS_SPAWNED);
    process::sleep_ms(A_WHILE_MS);
    assert_eq!(ok(thread::spawn(|| ())).join(), Some(()));
    assert_eq!(thread::poll_join(tid), Err(Errno::ESRCH));
}

/// Yields until another thread has set `flag`. What the flag is about is ordered by nothing.
fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::Relaxed) {
        process::yield_now();
    }
}
