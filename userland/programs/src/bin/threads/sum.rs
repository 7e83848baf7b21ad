//! A sum to which each thread contributes a part, on a CPU of its own as long as there are enough.

use alloc::vec::Vec;

use ulib::sync::Barrier;
use ulib::{println, process, thread};

use crate::ok;

const NUMBERS: usize = 1 << 20;

pub(crate) fn show(count: usize, cpus: usize) {
    println!("A parallel sum: the threads, on all CPUs, add 1 to {NUMBERS}.");
    let numbers: Vec<u64> = (1..=NUMBERS as u64).collect();
    let barrier = &Barrier::new(count);
    let parts = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let range = NUMBERS * number / count..NUMBERS * (number + 1) / count;
            // The thread borrows what its creator owns.
            let part = numbers.get(range.clone()).unwrap_or_default();
            let cpu = number % cpus;
            let thread = ok(scope.spawn(move || add_on(cpu, part, barrier)));
            threads.push((range, cpu, thread));
        }
        let joined = threads.into_iter().map(|(range, cpu, thread)| {
            let sum = thread.join();
            (range, cpu, sum.expect("it returns"))
        });
        joined.collect::<Vec<_>>()
    });
    for (number, (range, cpu, sum)) in parts.iter().enumerate() {
        let (first, last) = (range.start + 1, range.end);
        println!("  thread {number} on CPU {cpu}: {first} to {last} make {sum}");
    }
    let total: u64 = parts.iter().map(|(_, _, sum)| sum).sum();
    let expected = NUMBERS as u64 * (NUMBERS as u64 + 1) / 2;
    println!("  total {total}; n (n + 1) / 2 is {expected}\n");
    assert_eq!(total, expected);
}

/// Adds the numbers of `part` on `cpu`, when all are there.
fn add_on(cpu: usize, part: &[u64], barrier: &Barrier) -> u64 {
    process::pin(cpu);
    barrier.wait();
    let sum = part.iter().sum();
    assert_eq!(process::getcpu(), cpu, "the thread has left its CPU");
    sum
}
