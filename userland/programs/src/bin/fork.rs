//! After `fork` parent and children have the same memory, and from then on each its own.
//!
//! Static, stack and heap memory hold a value. Each child must see the parent's value whatever its siblings do, and
//! writes its own everywhere; at the end the parent's must be untouched. With `break=cow` or `break=mappings` it is
//! not: the shared stack is then the first to suffer.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use ulib::{Arguments, Errno, ExitStatus, println, process};

ulib::program!(main);

const CHILDREN: u64 = 4;
const PARENTS_VALUE: u64 = 0x5eed;
const WORDS_PER_AREA: usize = 4 * 4096 / 8;

static STATIC_AREA: [AtomicU64; WORDS_PER_AREA] =
    [const { AtomicU64::new(PARENTS_VALUE) }; WORDS_PER_AREA];

/// The three kinds of memory.
struct Memory<'a> {
    stack: &'a mut [u64],
    heap: &'a mut [u64],
}

impl Memory<'_> {
    fn holds(&self, value: u64) -> bool {
        let statics = STATIC_AREA
            .iter()
            .all(|word| word.load(Ordering::Relaxed) == value);
        statics
            && black_box(&self.stack)
                .iter()
                .chain(black_box(&self.heap).iter())
                .all(|&word| word == value)
    }

    fn fill(&mut self, value: u64) {
        for word in &STATIC_AREA {
            word.store(value, Ordering::Relaxed);
        }
        black_box(&mut self.stack).fill(value);
        black_box(&mut self.heap).fill(value);
    }
}

fn main(_arguments: Arguments) -> Result<(), Errno> {
    let mut stack = [PARENTS_VALUE; WORDS_PER_AREA];
    let mut heap = vec![PARENTS_VALUE; WORDS_PER_AREA];
    let mut memory = Memory {
        stack: &mut stack,
        heap: &mut heap,
    };

    let mut children = [0; CHILDREN as usize];
    for (value, child) in (1..).zip(&mut children) {
        *child = process::start(|| run_child(&mut memory, value))?;
    }
    for child in children {
        let status = process::wait(child)?;
        println!("Process {child} has ended: {status}");
        assert!(
            status == ExitStatus::exited(0),
            "process {child} has seen foreign memory"
        );
        assert!(
            memory.holds(PARENTS_VALUE),
            "a child has written into its parent's memory"
        );
    }
    println!("The parent's memory is untouched.");
    Ok(())
}

fn run_child(memory: &mut Memory<'_>, value: u64) -> i32 {
    let inherited = memory.holds(PARENTS_VALUE);
    memory.fill(value);
    for _ in 0..10 {
        process::yield_now();
        if !memory.holds(value) {
            return 1;
        }
    }
    println!(
        "Process {}, child of {}, wrote {value} everywhere.",
        process::getpid(),
        process::getppid()
    );
    i32::from(!inherited)
}
