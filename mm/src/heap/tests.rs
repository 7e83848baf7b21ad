//! The kernel heap, called as Rust's allocator interface calls it. The host's tests themselves use the host's heap.

use core::alloc::{GlobalAlloc, Layout};
use std::thread;

use proptest::prelude::{Strategy, prop_oneof, proptest};
use smp::CpuId;

use super::fallible::set_aside;
use super::{HeapAccounts, KernelHeap, accounts, try_arc, try_box};
use crate::addr::PAGE_SIZE;
use crate::error::NoMemory;
use crate::frame::{self, Frame, FrameKind};
use crate::hw::host::machine;

/// An allocation that remembers what it was filled with.
struct Held {
    start: *mut u8,
    layout: Layout,
    fill: u8,
}

// SAFETY: it owns what it points to.
unsafe impl Send for Held {}

impl Held {
    fn new(size: usize, align: usize, fill: u8) -> Option<Held> {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: no test asks for 0 bytes.
        let start = unsafe { KernelHeap.alloc(layout) };
        if start.is_null() {
            return None;
        }
        assert!(
            start.addr().is_multiple_of(align),
            "{layout:?} at {start:?}"
        );
        // SAFETY: the heap has just given these bytes.
        unsafe { start.write_bytes(fill, size) };
        Some(Held {
            start,
            layout,
            fill,
        })
    }

    fn resize(mut self, size: usize) -> Held {
        // SAFETY: it was allocated with this layout; no test asks for 0 bytes.
        let start = unsafe { KernelHeap.realloc(self.start, self.layout, size) };
        let kept = self.layout.size().min(size);
        // SAFETY: the allocation has at least so many bytes, which were written.
        let bytes = unsafe { core::slice::from_raw_parts(start, kept) };
        assert!(bytes.iter().all(|byte| *byte == self.fill));
        self.start = start;
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        // SAFETY: the allocation has so many bytes now.
        unsafe { start.write_bytes(self.fill, size) };
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the allocation is this value's, and was written in full.
        let bytes = unsafe { core::slice::from_raw_parts(self.start, self.layout.size()) };
        let is_whole = bytes.iter().all(|byte| *byte == self.fill);
        // SAFETY: it was allocated with this layout and is not used any more.
        unsafe { KernelHeap.dealloc(self.start, self.layout) };
        assert!(
            is_whole || thread::panicking(),
            "somebody else wrote to {:?}",
            self.layout
        );
    }
}

fn in_use(accounts: HeapAccounts) -> (usize, usize) {
    (accounts.bytes_in_use, accounts.large_frames)
}

/// Takes every frame, and every byte that the heap has of them.
fn take_everything() -> (Vec<Frame>, Vec<Held>) {
    let frames = std::iter::from_fn(|| frame::alloc(FrameKind::Anonymous).ok()).collect();
    let held = [2048, 256, 16]
        .iter()
        .flat_map(|size| std::iter::from_fn(|| Held::new(*size, 8, 1)))
        .collect();
    (frames, held)
}

#[test]
fn allocations_of_all_sizes_and_alignments_are_counted_and_come_back() {
    let _machine = machine();
    let before = accounts();
    let sizes = [1, 8, 31, 32, 33, 100, 2047, 2048, 2049, 4096, 4097, 70_000];
    let aligns = [1, 16, 64, 2048, 4096, 65_536];
    let all: Vec<Held> = sizes
        .iter()
        .flat_map(|size| {
            aligns
                .iter()
                .map(|align| Held::new(*size, *align, (*size + *align) as u8).unwrap())
        })
        .collect();
    let small: usize = sizes
        .iter()
        .filter(|size| **size <= 2048)
        .map(|size| size * 4)
        .sum();
    let large = accounts().large_frames - before.large_frames;
    assert_eq!(
        accounts().bytes_in_use - before.bytes_in_use,
        small + large * PAGE_SIZE
    );
    drop(all);
    assert_eq!(in_use(accounts()), in_use(before));
}

#[test]
fn a_large_allocation_takes_no_more_pages_than_it_needs() {
    let _machine = machine();
    let before = accounts();
    let held = Held::new(5 * PAGE_SIZE + 1, 8, 3).unwrap();
    assert_eq!(accounts().large_frames - before.large_frames, 6);
    drop(held.resize(6 * PAGE_SIZE).resize(3 * PAGE_SIZE).resize(100));
    assert_eq!(in_use(accounts()), in_use(before));
}

#[test]
fn without_memory_an_allocation_is_null_and_the_heap_goes_on_afterwards() {
    let _machine = machine();
    let before = accounts();
    let everything = take_everything();
    assert!(
        Held::new(16, 8, 1).is_none()
            && Held::new(3000, 8, 1).is_none()
            && Held::new(100_000, 8, 1).is_none()
    );
    drop(everything);
    assert!(Held::new(100_000, 8, 1).is_some());
    assert_eq!(in_use(accounts()), in_use(before));
}

#[test]
fn what_one_cpu_allocates_goes_back_to_its_shard_when_another_frees_it() {
    let _machine = machine();
    let before = accounts();
    let allocate = |cpu| {
        smp::host::become_cpu(CpuId::new(cpu));
        (1..300)
            .map(|size| Held::new(size, 8, size as u8).unwrap())
            .collect::<Vec<_>>()
    };
    let held: Vec<Vec<Held>> = thread::scope(|scope| {
        let threads: Vec<_> = (1..5)
            .map(|cpu| scope.spawn(move || allocate(cpu)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let pool_frames = accounts().pool_frames;
    drop(held);
    assert_eq!(in_use(accounts()), in_use(before));
    drop(thread::scope(|scope| {
        scope.spawn(move || allocate(2)).join().unwrap()
    }));
    assert_eq!(
        accounts().pool_frames,
        pool_frames,
        "the shard has what it needs"
    );
}

#[test]
fn what_is_set_aside_is_there_when_all_other_memory_is_gone() {
    let _machine = machine();
    let before = accounts();
    let aside = set_aside(Layout::new::<[u64; 5]>()).unwrap();
    let everything = take_everything();
    assert!(
        Held::new(48, 8, 1).is_none(),
        "another size does not get it"
    );
    let taken = Held::new(40, 8, 1).expect("what was set aside");
    assert!(Held::new(40, 8, 1).is_none(), "it is there once");
    drop((aside, taken, everything));
    assert_eq!(in_use(accounts()), in_use(before));
}

#[test]
fn what_is_set_aside_and_not_taken_goes_back() {
    let _machine = machine();
    let before = accounts();
    drop(set_aside(Layout::new::<[u64; 500]>()).unwrap());
    drop(set_aside(Layout::new::<u64>()).unwrap());
    assert_eq!(in_use(accounts()), in_use(before));
    let everything = take_everything();
    assert_eq!(set_aside(Layout::new::<u64>()).err(), Some(NoMemory));
    drop(everything);
}

#[test]
fn boxes_and_arcs_hold_their_value() {
    let shared = try_arc([7_u8; 100]).unwrap();
    assert_eq!(*shared.clone(), [7; 100]);
    assert_eq!(*try_box(shared).unwrap(), [7; 100].into());
    assert!(try_box(()).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, align_log2: u32 },
    Resize { index: usize, size: usize },
    Free(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = || prop_oneof![4 => 1_usize..300, 2 => 300_usize..3000, 1 => 3000_usize..40_000];
    let step = prop_oneof![
        3 => (size(), 0_u32..14).prop_map(|(size, align_log2)| Step::Allocate { size, align_log2 }),
        1 => (0_usize..1000, size()).prop_map(|(index, size)| Step::Resize { index, size }),
        2 => (0_usize..1000).prop_map(Step::Free),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn allocations_keep_their_contents_whatever_happens_around_them(steps in steps()) {
        let _machine = machine();
        let before = accounts();
        let mut held: Vec<Held> = Vec::new();
        for (round, step) in steps.into_iter().enumerate() {
            match step {
                Step::Allocate { size, align_log2 } => held.extend(Held::new(size, 1 << align_log2, round as u8)),
                Step::Resize { index, size } if !held.is_empty() => {
                    let resized = held.swap_remove(index % held.len()).resize(size);
                    held.push(resized);
                }
                Step::Free(index) if !held.is_empty() => drop(held.swap_remove(index % held.len())),
                Step::Resize { .. } | Step::Free(_) => {}
            }
        }
        drop(held);
        assert_eq!(in_use(accounts()), in_use(before));
    }
}
