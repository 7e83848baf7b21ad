//! Blocks, runs, and the view of all memory.

use std::collections::HashSet;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::drained;
use crate::addr::PAGE_SIZE;
use crate::error::NoMemory;
use crate::frame::{
    Block, Frame, FrameKind, FrameState, MemoryRange, PageRun, accounts, alloc, alloc_block,
    alloc_run, alloc_zeroed, drain_own_cache, for_each_run, pool, state_of,
};
use crate::hw::host;

#[test]
fn a_block_is_aligned_and_one_piece() {
    let (_machine, before) = drained();
    let block = alloc_block(9, FrameKind::Kernel).unwrap();
    assert!(block.pa().as_usize().is_multiple_of(512 * PAGE_SIZE));
    assert_eq!((block.order(), block.len_bytes()), (9, 512 * PAGE_SIZE));
    let last = block.pa().checked_add(511 * PAGE_SIZE as u64).unwrap();
    let run = state_of(last).unwrap();
    assert_eq!(
        (run.number as usize * PAGE_SIZE, run.order),
        (block.pa().as_usize(), 9)
    );
    assert_eq!(
        accounts().in_use(FrameKind::Kernel),
        before.in_use(FrameKind::Kernel) + 512
    );
    drop(block);
    assert_eq!(accounts(), before);
}

#[test]
fn blocks_that_no_machine_has_are_refused() {
    let (_machine, before) = drained();
    assert_eq!(alloc_block(19, FrameKind::Kernel).unwrap_err(), NoMemory);
    assert_eq!(alloc_block(18, FrameKind::Kernel).unwrap_err(), NoMemory);
    assert_eq!(
        alloc_run(usize::MAX, FrameKind::Kernel).unwrap_err(),
        NoMemory
    );
    assert_eq!(accounts(), before);
}

#[test]
fn a_run_gives_back_what_the_power_of_two_has_beyond_it() {
    let (_machine, before) = drained();
    for len_pages in [1, 2, 3, 5, 11, 16, 100] {
        let run = alloc_run(len_pages, FrameKind::KernelHeap).unwrap();
        assert_eq!(
            accounts().in_use(FrameKind::KernelHeap),
            before.in_use(FrameKind::KernelHeap) + len_pages
        );
        let beyond = run
            .pa()
            .checked_add((len_pages * PAGE_SIZE) as u64)
            .unwrap();
        assert!(matches!(
            state_of(beyond).unwrap().state,
            FrameState::Free | FrameState::Cached
        ));
        drop(run);
        drain_own_cache();
        assert_eq!(accounts(), before);
    }
}

#[test]
fn a_large_block_is_found_once_this_cpu_has_given_up_its_cache() {
    let (_machine, before) = drained();
    let mut all: Vec<Frame> = std::iter::from_fn(|| alloc(FrameKind::Pipe).ok()).collect();
    all.sort_by_key(|frame| frame.pa());
    let aligned = all
        .iter()
        .position(|frame| frame.pa().as_usize().is_multiple_of(16 * PAGE_SIZE))
        .unwrap();
    drop(all.drain(aligned..aligned + 16));
    assert_eq!(pool::free_frames(), 0, "they are in the cache");
    assert!(alloc_block(4, FrameKind::Pipe).is_ok());
    drop(all);
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn the_memory_view_shows_every_frame_once() {
    let (_machine, _) = drained();
    let mine = alloc(FrameKind::Anonymous).unwrap();
    let number = (mine.pa().as_u64() / PAGE_SIZE as u64) as u32;
    let shared = mine.share();
    let (mut next, mut free, mut reserved, mut seen) = (0, 0, 0, None);
    for_each_run(|run| {
        assert_eq!(run.number, next, "no gap and no overlap");
        next += 1 << run.order;
        match run.state {
            FrameState::Free | FrameState::Cached => free += 1 << run.order,
            FrameState::Reserved => reserved += 1 << run.order,
            FrameState::InUse { kind, references } if run.number == number => {
                seen = Some((kind, references));
            }
            _ => {}
        }
    });
    let accounts = accounts();
    assert_eq!((free, reserved), (accounts.free, accounts.reserved));
    assert_eq!(seen, Some((FrameKind::Anonymous, 2)));
    drop(shared);
}

#[test]
fn nothing_is_handed_out_from_holes_and_reserved_memory() {
    let (_machine, before) = drained();
    let is_inside =
        |frame: &Frame, range: &MemoryRange| range.start <= frame.pa() && frame.pa() < range.end;
    let all: Vec<Frame> = std::iter::from_fn(|| alloc(FrameKind::Anonymous).ok()).collect();
    for frame in &all {
        assert!(host::MEMORY_MAP.iter().any(|range| is_inside(frame, range)));
        assert!(!host::RESERVED.iter().any(|range| is_inside(frame, range)));
        assert_ne!(frame.pa().as_usize(), 0);
    }
    assert_eq!(before.total, 0x9f + 0x3f00 + 0x2000);
}

enum Held {
    Frame(Frame),
    Block(Block),
    Run(PageRun),
}

impl Held {
    fn frames(&self) -> std::ops::Range<usize> {
        let (pa, len) = match self {
            Held::Frame(frame) => (frame.pa(), 1),
            Held::Block(block) => (block.pa(), 1 << block.order()),
            Held::Run(run) => (run.pa(), run.len_pages()),
        };
        pa.as_usize() / PAGE_SIZE..pa.as_usize() / PAGE_SIZE + len
    }
}

#[derive(Clone, Debug)]
enum Step {
    Frame,
    Zeroed,
    Block(u32),
    Run(usize),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<bool>().prop_map(|zeroed| if zeroed { Step::Zeroed } else { Step::Frame }),
        (0u32..11).prop_map(Step::Block),
        (1usize..70).prop_map(Step::Run),
        (0usize..1000).prop_map(Step::Drop),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn frames_blocks_and_runs_never_overlap_and_all_come_back(steps in steps()) {
        let (_machine, before) = drained();
        let mut held: Vec<Held> = Vec::new();
        let mut taken = HashSet::new();
        for step in steps {
            let new = match step {
                Step::Frame => alloc(FrameKind::File).ok().map(Held::Frame),
                Step::Zeroed => alloc_zeroed(FrameKind::File).ok().map(Held::Frame),
                Step::Block(order) => alloc_block(order, FrameKind::File).ok().map(Held::Block),
                Step::Run(len_pages) => alloc_run(len_pages, FrameKind::File).ok().map(Held::Run),
                Step::Drop(_) if held.is_empty() => None,
                Step::Drop(index) => {
                    let old = held.swap_remove(index % held.len());
                    old.frames().for_each(|frame| assert!(taken.remove(&frame)));
                    None
                }
            };
            if let Some(new) = new {
                new.frames().for_each(|frame| assert!(taken.insert(frame), "frame {frame} handed out twice"));
                held.push(new);
            }
            let now = accounts();
            assert_eq!(now.in_use(FrameKind::File), before.in_use(FrameKind::File) + taken.len());
            assert_eq!(now.free, before.free - taken.len());
        }
        drop(held);
        drain_own_cache();
        assert_eq!(accounts(), before);
    }
}
