//! What each thread has for itself: the base of FS, through which it reaches variables of its own by the same address.

use core::arch::asm;

use ulib::sync::Barrier;
use ulib::{println, process, thread};

use crate::ok;

const THREADS: usize = 2;
const LOOKS: usize = 100;

pub(crate) fn show() {
    println!("Thread-local storage: {THREADS} threads on one CPU, each with an FS of its own.");
    let cpu = process::getcpu();
    let barrier = Barrier::new(THREADS);
    let seen = thread::scope(|scope| {
        let threads = [
            ok(scope.spawn(|| read_by_fs(100, cpu, &barrier))),
            ok(scope.spawn(|| read_by_fs(200, cpu, &barrier))),
        ];
        threads.map(|thread| thread.join().expect("it returns"))
    });
    for (number, seen) in seen.iter().enumerate() {
        println!("  thread {number} has found {seen} at fs:0, {LOOKS} times");
    }
    assert_eq!(seen, [100, 200]);
    println!();
}

/// Puts `value` where this thread's FS begins, and looks there until others have often had the CPU.
fn read_by_fs(value: u64, cpu: usize, barrier: &Barrier) -> u64 {
    process::pin(cpu);
    let variable = &raw const value;
    ok(thread::set_tls_base(variable.expose_provenance()));
    barrier.wait();
    let mut found = 0;
    for look in 1..=LOOKS {
        // SAFETY: FS begins at `value`, which is one word long.
        unsafe {
            asm!("mov {}, fs:[0]", out(reg) found, options(nostack, readonly, preserves_flags));
        }
        assert_eq!(found, value, "look {look}");
        process::yield_now();
    }
    found
}
