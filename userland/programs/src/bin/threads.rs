//! Threads: creating and joining them.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use ulib::{Signal, println, process, signal, thread};

ulib::program!(main);

static SEEN: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(signal: i32, address: usize, kind: usize) {
    println!(
        "signal {signal} at {address:#x} kind {kind} in thread {}",
        process::gettid()
    );
    SEEN.store(signal, Ordering::Relaxed);
}

fn main(_: ulib::Arguments) {
    let cpus = process::cpu_count();
    let threads: Vec<_> = (0..2 * cpus as u64)
        .map(|number| {
            thread::spawn(move || {
                for _ in 0..1000 {
                    COUNT.fetch_add(1, Ordering::Relaxed);
                }
                println!(
                    "thread {number} has id {} and runs on CPU {}",
                    process::gettid(),
                    process::getcpu()
                );
                number * number
            })
            .expect("a thread")
        })
        .collect();
    let sum: u64 = threads.into_iter().filter_map(|thread| thread.join()).sum();
    println!("sum {sum} count {}", COUNT.load(Ordering::Relaxed));
    signal::handle(Signal::SIGUSR1, Some(handler)).expect("handler");
    process::kill(process::getpid(), Signal::SIGUSR1).expect("kill");
    println!("after the signal: {}", SEEN.load(Ordering::Relaxed));
    let pid = process::getpid();
    let killer = thread::spawn(move || {
        process::sleep_ms(50);
        process::kill(pid, Signal::SIGUSR1).expect("kill");
    })
    .expect("thread");
    SEEN.store(0, Ordering::Relaxed);
    while SEEN.load(Ordering::Relaxed) == 0 {}
    println!("spinning main thread got it");
    killer.join();
    let sleeper = thread::spawn(|| {
        process::sleep_ms(10_000);
        println!("slept");
    })
    .expect("thread");
    process::sleep_ms(20);
    process::kill(sleeper.tid(), Signal::SIGUSR1).expect("kill");
    sleeper.join();
    let _forever = thread::spawn(|| {
        loop {
            core::hint::spin_loop()
        }
    })
    .expect("thread");
    let _sleeping = thread::spawn(|| process::sleep_ms(100_000)).expect("thread");
    println!("end");
}
