//! The frame allocator as its users see it, on the host's machine.

mod big;
mod blocks;

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;

use smp::CpuId;

use super::{
    Frame, FrameAccounts, FrameChain, FrameKind, accounts, alloc, alloc_zeroed, drain_own_cache,
    is_zero_page, set_skip_zeroing,
};
use crate::addr::PAGE_SIZE;
use crate::hw::host::{self, Machine, machine};

/// The machine with all caches drained, and its accounts.
fn drained() -> (Machine, FrameAccounts) {
    let machine = machine();
    for cpu in 0..host::CPUS {
        on_cpu(cpu, drain_own_cache);
    }
    let accounts = accounts();
    assert_eq!(
        accounts.cached, 0,
        "the counts by kind agree with the pool's"
    );
    (machine, accounts)
}

fn on_cpu<R: Send>(cpu: usize, action: impl FnOnce() -> R + Send) -> R {
    let run = || {
        smp::host::become_cpu(CpuId::new(cpu));
        action()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn dirty(frame: &Frame) {
    // SAFETY: the frame is the test's own.
    unsafe { frame.as_ptr().write_bytes(0xa5, PAGE_SIZE) };
}

fn is_zero(frame: &Frame) -> bool {
    // SAFETY: the frame is the test's own.
    unsafe { is_zero_page(frame.as_ptr()) }
}

#[test]
fn every_frame_can_be_had_once_and_comes_back() {
    let (_machine, before) = drained();
    let all: Vec<Frame> = std::iter::from_fn(|| alloc(FrameKind::Anonymous).ok()).collect();
    assert_eq!(all.len(), before.free, "memory runs out with nothing left");
    assert_eq!(accounts().free, 0);
    assert_eq!(
        all.iter()
            .map(|frame| frame.pa())
            .collect::<HashSet<_>>()
            .len(),
        all.len()
    );
    drop(all);
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn zeroed_frames_serve_when_no_others_are_left() {
    let (_machine, before) = drained();
    let mut all: Vec<Frame> = std::iter::from_fn(|| alloc(FrameKind::Pipe).ok()).collect();
    assert_eq!(all.len(), before.free);
    let frame = all.pop().unwrap();
    let address = frame.pa();
    // SAFETY: the last reference, zeroed.
    unsafe {
        super::zero_page(frame.as_ptr());
        frame.drop_zeroed();
    }
    assert_eq!(alloc(FrameKind::Pipe).map(|frame| frame.pa()), Ok(address));
    drop(all);
}

#[test]
fn a_shared_frame_is_freed_with_its_last_reference() {
    let (_machine, before) = drained();
    let first = alloc(FrameKind::Anonymous).unwrap();
    let second = first.share();
    assert_eq!((first.references(), first.is_sole_owner()), (2, false));
    drop(first);
    assert!(second.is_sole_owner());
    assert_eq!(
        accounts().in_use(FrameKind::Anonymous),
        before.in_use(FrameKind::Anonymous) + 1
    );
    drop(second);
    assert_eq!(accounts().free, before.free);
}

#[test]
fn a_page_table_entry_can_keep_a_reference() {
    let (_machine, before) = drained();
    let entry = alloc(FrameKind::Anonymous).unwrap().into_raw();
    // SAFETY: the entry keeps its reference while it is borrowed.
    let child = unsafe { Frame::borrow_raw(entry) }.share().into_raw();
    assert_eq!(child, entry);
    // SAFETY: each reference is taken back once.
    let (first, second) = unsafe { (Frame::from_raw(entry), Frame::from_raw(child)) };
    assert_eq!(first.references(), 2);
    drop((first, second));
    assert_eq!(accounts().free, before.free);
}

#[test]
fn zeroed_frames_hold_zeros_whatever_was_there() {
    let (_machine, _) = drained();
    let used: Vec<Frame> = (0..100)
        .map(|_| alloc(FrameKind::Anonymous).unwrap())
        .collect();
    used.iter().for_each(dirty);
    drop(used);
    let clean: Vec<Frame> = (0..100)
        .map(|_| alloc_zeroed(FrameKind::Anonymous).unwrap())
        .collect();
    assert!(clean.iter().all(is_zero));
}

#[test]
fn a_frame_given_back_zeroed_is_the_next_zeroed_one() {
    let (_machine, before) = drained();
    let frame = alloc_zeroed(FrameKind::PageTable).unwrap();
    let address = frame.pa();
    // SAFETY: nobody has written to it.
    unsafe { frame.drop_zeroed() };
    drop(alloc(FrameKind::Anonymous).unwrap());
    assert_eq!(alloc_zeroed(FrameKind::PageTable).unwrap().pa(), address);
    assert_eq!(accounts().free, before.free);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is not zero")]
fn a_frame_that_is_not_zero_cannot_be_given_back_as_zeroed() {
    let (_machine, _) = drained();
    let frame = alloc(FrameKind::PageTable).unwrap();
    dirty(&frame);
    // SAFETY: it is not, which is what the debug build finds.
    unsafe { frame.drop_zeroed() };
}

#[test]
fn without_zeroing_users_see_old_contents_but_page_tables_do_not() {
    let (_machine, _) = drained();
    let frame = alloc(FrameKind::Anonymous).unwrap();
    dirty(&frame);
    drop(frame);
    set_skip_zeroing(true);
    let seen = alloc_zeroed(FrameKind::Anonymous).unwrap();
    let was_zero = is_zero(&seen);
    drop(seen);
    let table_was_zero = is_zero(&alloc_zeroed(FrameKind::PageTable).unwrap());
    set_skip_zeroing(false);
    assert_eq!((was_zero, table_was_zero), (false, true));
}

#[test]
#[should_panic(expected = "is freed but was not allocated")]
fn a_double_free_is_noticed() {
    let (_machine, _) = drained();
    let address = alloc(FrameKind::Anonymous).unwrap().into_raw();
    // SAFETY: the second is not allowed, which is what is tested; the frame is in a cache and stays there.
    unsafe {
        drop(Frame::from_raw(address));
        drop(Frame::from_raw(address));
    }
}

#[test]
fn a_copy_has_the_contents_and_leaves_the_original() {
    let (_machine, _) = drained();
    let original = alloc_zeroed(FrameKind::File).unwrap();
    dirty(&original);
    let copy = original.copy(FrameKind::Anonymous).unwrap();
    assert_eq!(
        (copy.kind(), original.kind()),
        (FrameKind::Anonymous, FrameKind::File)
    );
    // SAFETY: both frames are the test's own.
    let bytes =
        |frame: &Frame| unsafe { std::slice::from_raw_parts(frame.as_ptr(), PAGE_SIZE) }.to_vec();
    assert!(bytes(&copy) == bytes(&original) && bytes(&copy) == [0xa5; PAGE_SIZE]);
}

#[test]
fn what_one_cpu_allocates_another_can_free() {
    let (_machine, before) = drained();
    let frames: Vec<Frame> = (0..300).map(|_| alloc(FrameKind::Pipe).unwrap()).collect();
    assert_eq!(
        accounts().in_use(FrameKind::Pipe),
        before.in_use(FrameKind::Pipe) + 300
    );
    on_cpu(3, || {
        drop(frames);
        drain_own_cache();
    });
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn cpus_that_allocate_and_free_at_once_never_get_the_same_frame() {
    let (_machine, before) = drained();
    let (sender, receiver) = mpsc::channel::<Frame>();
    let churn = |cpu: usize, sender: mpsc::Sender<Frame>| {
        smp::host::become_cpu(CpuId::new(cpu));
        let mut held = Vec::new();
        for round in 0..2000_u32 {
            let frame = alloc(FrameKind::Anonymous).unwrap();
            assert!(frame.is_sole_owner());
            frame.word().store(
                cpu as u32 * 10_000 + round,
                std::sync::atomic::Ordering::Relaxed,
            );
            held.push((frame, cpu as u32 * 10_000 + round));
            if round % 3 == 0 {
                let (frame, mark) = held.swap_remove(round as usize % held.len());
                assert_eq!(frame.word().load(Relaxed), mark);
                sender.send(frame.share()).unwrap();
            }
        }
        for (frame, mark) in held {
            assert_eq!(frame.word().load(Relaxed), mark);
        }
        drain_own_cache();
    };
    thread::scope(|scope| {
        for cpu in 1..4 {
            let sender = sender.clone();
            scope.spawn(move || churn(cpu, sender));
        }
        drop(sender);
        receiver.iter().for_each(drop);
    });
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn a_chain_owns_its_frames_and_gives_them_back_last_first() {
    let (_machine, before) = drained();
    let frames: Vec<Frame> = (0..5)
        .map(|_| alloc(FrameKind::Anonymous).unwrap())
        .collect();
    let last = frames[4].pa();
    let mut chain = FrameChain::new();
    frames
        .into_iter()
        .for_each(|frame| chain.push(frame).unwrap());
    assert_eq!(chain.len(), 5);
    assert_eq!(chain.pop().map(|frame| frame.pa()), Some(last));
    drop(chain);
    assert_eq!(accounts().free, before.free);
}

#[test]
fn a_shared_frame_is_in_one_chain_at_a_time() {
    let (_machine, before) = drained();
    let frame = alloc(FrameKind::Anonymous).unwrap();
    let (mut first, mut second) = (FrameChain::new(), FrameChain::new());
    first.push(frame.share()).unwrap();
    let refused = second.push(frame).unwrap_err();
    drop(first);
    assert!(second.push(refused).is_ok());
    assert!(second.pop().is_some_and(|frame| frame.is_sole_owner()));
    assert_eq!(accounts().free, before.free);
}
