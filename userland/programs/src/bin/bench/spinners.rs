//! Threads that keep other CPUs busy in this program's memory, so that what changes there has to reach them.

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ulib::process;
use ulib::thread::{self, JoinHandle};

/// Runs `body` while threads on the CPUs from 1 to `count` do nothing but spin, with PAUSE as in the program that
/// measures Linux.
pub(crate) fn with_spinners(count: usize, body: impl FnOnce()) {
    let common = Arc::new(Common::default());
    let spinners: Vec<_> = (1..=count).map(|cpu| start(&common, cpu)).collect();
    // Relaxed, here and below: nothing is passed on.
    while common.spinning.load(Ordering::Relaxed) < count {
        spin_loop();
    }
    body();
    common.is_over.store(true, Ordering::Relaxed);
    for spinner in spinners {
        assert_eq!(spinner.join(), Some(()));
    }
}

#[derive(Default)]
struct Common {
    /// How many threads spin.
    spinning: AtomicUsize,
    is_over: AtomicBool,
}

fn start(common: &Arc<Common>, cpu: usize) -> JoinHandle<()> {
    let common = common.clone();
    let started = thread::spawn(move || {
        process::pin(cpu);
        common.spinning.fetch_add(1, Ordering::Relaxed);
        while !common.is_over.load(Ordering::Relaxed) {
            spin_loop();
        }
    });
    match started {
        Ok(spinner) => spinner,
        Err(errno) => panic!("cannot create a thread: {errno}"),
    }
}
