//! Big frames: sharing, cutting and uniting.

use std::sync::Barrier;
use std::thread;

use smp::CpuId;

use super::drained;
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::NoMemory;
use crate::frame::{
    BigFrame, Frame, FrameKind, accounts, alloc, alloc_big, alloc_big_zeroed, drain_own_cache,
    for_each_run, is_zero_page, set_skip_zeroing,
};

/// A big frame with 2^3 parts of 2^3 frames: small, so that all of its shapes come up.
pub(super) const ORDER: u32 = 6;
const PART_ORDER: u32 = 3;

pub(super) fn big(order: u32) -> BigFrame {
    alloc_big(order, FrameKind::Anonymous).unwrap()
}

pub(super) fn anonymous() -> usize {
    accounts().in_use(FrameKind::Anonymous)
}

/// `big`, cut into parts of 2^`part_order` frames.
pub(super) fn cut(big: BigFrame, part_order: u32) -> Vec<BigFrame> {
    let parts = 1 << (big.order() - part_order);
    let start = big.into_raw_parts(part_order).as_usize();
    (0..parts)
        .map(|index| {
            let pa = PhysAddr::new((start + index * (PAGE_SIZE << part_order)) as u64);
            // SAFETY: the parts were just given up, and each is taken back once.
            unsafe { BigFrame::from_raw(pa, part_order) }
        })
        .collect()
}

/// The big frame that `parts`, which lie in a row, are together.
pub(super) fn joined(parts: Vec<BigFrame>, order: u32) -> BigFrame {
    let start = parts[0].pa();
    for part in parts {
        let _ = part.into_raw();
    }
    // SAFETY: all parts were just given up, and are taken back once.
    unsafe { BigFrame::from_raw(start, order) }
}

pub(super) fn blocks_in(big: &BigFrame) -> Vec<u8> {
    let first = (big.pa().as_usize() / PAGE_SIZE) as u32;
    let mut orders = Vec::new();
    for_each_run(|run| {
        if (first..first + big.len_pages() as u32).contains(&run.number) {
            orders.push(run.order);
        }
    });
    orders
}

#[test]
fn a_big_frame_is_one_block_and_comes_back() {
    let (_machine, before) = drained();
    let big = big(9);
    assert!(big.pa().as_usize().is_multiple_of(512 * PAGE_SIZE));
    assert_eq!((big.len_pages(), blocks_in(&big)), (512, vec![9]));
    assert_eq!(anonymous(), before.in_use(FrameKind::Anonymous) + 512);
    drop(big);
    assert_eq!(accounts(), before);
}

#[test]
fn what_no_machine_has_is_refused() {
    let (_machine, before) = drained();
    for order in [18, 19, u32::MAX] {
        assert_eq!(
            alloc_big(order, FrameKind::Anonymous).unwrap_err(),
            NoMemory
        );
    }
    assert_eq!(accounts(), before);
}

#[test]
fn looking_for_a_block_leaves_this_cpus_cache_alone() {
    let (_machine, _) = drained();
    drop(alloc(FrameKind::Anonymous).unwrap());
    let cached = accounts().cached;
    assert!(cached > 0);
    assert_eq!(alloc_big(18, FrameKind::Anonymous).unwrap_err(), NoMemory);
    assert_eq!(accounts().cached, cached);
}

#[test]
fn a_zeroed_big_frame_holds_zeros_unless_the_switch_is_off() {
    let (_machine, _) = drained();
    // SAFETY: the memory is the test's own.
    let is_zero = |big: &BigFrame| big.pages().all(|page| unsafe { is_zero_page(page) });
    let dirty = big(ORDER);
    dirty
        .pages()
        // SAFETY: as above.
        .for_each(|page| unsafe { page.write_bytes(0xa5, PAGE_SIZE) });
    drop(dirty);
    assert!(!is_zero(&big(ORDER)), "the same memory again");
    set_skip_zeroing(true);
    let left = is_zero(&alloc_big_zeroed(ORDER, FrameKind::Anonymous).unwrap());
    set_skip_zeroing(false);
    let zeroed = is_zero(&alloc_big_zeroed(ORDER, FrameKind::Anonymous).unwrap());
    assert_eq!((left, zeroed), (false, true));
}

#[test]
fn cutting_one_reference_leaves_the_others_a_reference_of_each_part() {
    let (_machine, before) = drained();
    let first = big(ORDER);
    let second = first.share();
    let parts = cut(first, PART_ORDER);
    assert_eq!(blocks_in(&second), [3; 8]);
    assert!(!second.is_sole_owner() && parts.iter().all(|part| !part.is_sole_owner()));
    let third = second.share();
    drop(second);
    drop(parts);
    assert!(third.is_sole_owner());
    assert_eq!(anonymous(), before.in_use(FrameKind::Anonymous) + 64);
    drop(third);
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn a_frame_cut_out_of_a_big_one_is_shared_and_freed_like_any_other() {
    let (_machine, before) = drained();
    let first = big(ORDER);
    let second = first.share();
    let start = first.into_raw_parts(0);
    let frames: Vec<Frame> = (0..64)
        // SAFETY: the frames were just given up, and each is taken back once.
        .map(|index| unsafe {
            Frame::from_raw(PhysAddr::new(start.as_u64() + index * PAGE_SIZE as u64))
        })
        .collect();
    let copy = frames[5].share();
    assert_eq!((frames[5].references(), frames[6].references()), (3, 2));
    drop(frames);
    assert_eq!(copy.references(), 2);
    drop(second);
    assert!(copy.is_sole_owner());
    assert_eq!(anonymous(), before.in_use(FrameKind::Anonymous) + 1);
    drop(copy);
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn parts_unite_only_when_they_are_one_owners() {
    let (_machine, before) = drained();
    let mut parts = cut(big(ORDER), PART_ORDER);
    let other = parts[7].share();
    let mut whole = joined(parts, ORDER);
    assert!(!whole.try_unite());
    assert_eq!(blocks_in(&whole), [3; 8]);
    drop(other);
    assert!(whole.try_unite());
    assert_eq!(blocks_in(&whole), [6]);
    // In pieces of different sizes it does as well.
    parts = cut(whole, PART_ORDER);
    let last = parts.pop().unwrap();
    parts.push(joined(cut(last, 0), PART_ORDER));
    whole = joined(parts, ORDER);
    assert_eq!(
        blocks_in(&whole),
        [3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert!(whole.try_unite() && whole.is_sole_owner());
    drop(whole);
    assert_eq!(accounts(), before);
}

#[test]
fn parts_of_different_kinds_do_not_unite() {
    let (_machine, before) = drained();
    let mut parts = cut(big(1), 0);
    let pa = parts[1].pa();
    drop(parts.pop());
    let file = alloc(FrameKind::File).unwrap();
    assert_eq!(file.pa(), pa, "the frame freed last is the next one");
    // SAFETY: the reference was just given up.
    parts.push(unsafe { BigFrame::from_raw(file.into_raw(), 0) });
    let mut whole = joined(parts, 1);
    assert!(whole.is_sole_owner() && !whole.try_unite());
    drop(whole);
    drain_own_cache();
    assert_eq!(accounts(), before);
}

#[test]
fn copies_have_the_contents_of_their_part() {
    let (_machine, _) = drained();
    let whole = big(ORDER);
    for (index, page) in whole.pages().enumerate() {
        // SAFETY: the memory is the test's own.
        unsafe { page.write_bytes(index as u8, PAGE_SIZE) };
    }
    // SAFETY: as above.
    let last_byte = |page: *mut u8| unsafe { page.add(PAGE_SIZE - 1).read() };
    let copy = whole
        .copy_part(24, PART_ORDER, FrameKind::Anonymous)
        .unwrap();
    assert_eq!(
        copy.pages().map(last_byte).collect::<Vec<_>>(),
        (24..32).collect::<Vec<_>>()
    );
    let page = whole.copy_page(63, FrameKind::Anonymous).unwrap();
    assert_eq!(last_byte(page.as_ptr()), 63);
}

#[test]
#[should_panic(expected = "8 pages from page 60 of a big frame")]
fn a_copy_that_reaches_out_of_the_range_panics() {
    let (_machine, _) = drained();
    let _ = big(ORDER).copy_part(60, PART_ORDER, FrameKind::Anonymous);
}

#[test]
fn owners_that_cut_share_and_drop_at_once_free_each_frame_once() {
    let (_machine, before) = drained();
    for round in 0..400 {
        let whole = big(9);
        let owners: Vec<BigFrame> = (0..3).map(|_| whole.share()).collect();
        drop(whole);
        let start = Barrier::new(owners.len());
        thread::scope(|scope| {
            for (cpu, owner) in owners.into_iter().enumerate() {
                let start = &start;
                scope.spawn(move || {
                    smp::host::become_cpu(CpuId::new(cpu + 1));
                    start.wait();
                    match (cpu + round) % 5 {
                        0 => drop(owner),
                        1 => drop(cut(owner, 0)),
                        2 => {
                            (0..40).for_each(|_| drop(owner.share()));
                            drop(owner);
                        }
                        3 => {
                            let other = owner.share();
                            drop(cut(owner, PART_ORDER));
                            let _ = other.is_sole_owner();
                        }
                        _ => {
                            let mut parts = cut(owner, PART_ORDER);
                            drop(cut(parts.swap_remove(3), 0));
                            drop(parts.iter().map(BigFrame::share).collect::<Vec<_>>());
                        }
                    }
                    drain_own_cache();
                });
            }
        });
        assert_eq!(accounts(), before, "round {round}");
    }
}
