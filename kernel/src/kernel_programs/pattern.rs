//! `kernelpattern`: a pattern in the kernel's own memory stays as it is. Nothing in the kernel uses that memory, so
//! whatever changes it was not meant to.
//!
//! The first run fills it; every run looks through all of it. `grind` runs it again and again.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{FAILED, WRONG_USE};
use crate::device::console::say;

const PAGES: usize = 64;
const WORDS: usize = PAGES * mm::addr::PAGE_SIZE / size_of::<u64>();

static MEMORY: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
static IS_FILLED: AtomicBool = AtomicBool::new(false);

pub(super) fn run(arguments: &str) -> i32 {
    if !arguments.trim().is_empty() {
        say!("usage: kernelpattern");
        return WRONG_USE;
    }
    // Relaxed everywhere: two that fill it at the same time store the same, and `spawn` and `waitpid` order the others.
    if !IS_FILLED.load(Ordering::Relaxed) {
        for (index, word) in MEMORY.iter().enumerate() {
            word.store(pattern(index), Ordering::Relaxed);
        }
        IS_FILLED.store(true, Ordering::Relaxed);
    }
    for (index, word) in MEMORY.iter().enumerate() {
        let found = word.load(Ordering::Relaxed);
        if found != pattern(index) {
            let address = core::ptr::from_ref(word);
            say!("kernelpattern: FAILED: {found:#x} at {address:p}");
            return FAILED;
        }
    }
    0
}

fn pattern(index: usize) -> u64 {
    (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
