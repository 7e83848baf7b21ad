//! Loom model of the set of CPUs: `RUSTFLAGS="--cfg loom" cargo test -p smp --release --test 'loom_*'`.
#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use smp::{AtomicCpuSet, CpuId, cpu};

/// Someone publishes and looks who must be told; at the same time a CPU joins and looks what has been published.
#[test]
fn a_cpu_that_joins_is_seen_or_sees_what_was_published() {
    loom::model(|| {
        cpu::set_possible(2);
        let shared = Arc::new((AtomicCpuSet::new(), AtomicUsize::new(0)));
        assert!(shared.0.load().is_empty());
        let joiner = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.0.fetch_insert(CpuId::new(1));
                shared.1.load(Ordering::Relaxed)
            })
        };
        shared.1.store(1, Ordering::Relaxed);
        let told = shared.0.load_after_publish().contains(CpuId::new(1));
        let seen = joiner.join().unwrap() == 1;
        assert!(told || seen);
    });
}
