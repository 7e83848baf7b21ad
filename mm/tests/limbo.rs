//! `shootdown=deferred` between CPUs, played by threads: the strategy is the machine's, hence a binary of its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mm::addr::{PAGE_SIZE, USER_START, UserRange};
use mm::flush::{self, Kernel, Strategy, limbo};
use mm::frame::{self, FrameKind};
use mm::hw::host::machine;
use mm::hw::user_access::host::on_page_fault;
use mm::space::{FaultAccess, Protection, Region, RegionFlags, Space, activate, become_idle};
use mm::user::UserPtr;
use smp::{CpuId, irq, mailbox};

const PAGES: usize = 4;

fn range(page: usize, len_pages: usize) -> UserRange {
    UserRange::page_aligned(
        USER_START.as_usize() + page * PAGE_SIZE,
        len_pages * PAGE_SIZE,
    )
    .unwrap()
}

fn region(page: usize, len_pages: usize) -> Region {
    Region::anonymous(
        range(page, len_pages),
        Protection::WRITE,
        RegionFlags::empty(),
    )
}

fn anonymous_frames() -> usize {
    frame::accounts().in_use(FrameKind::Anonymous)
}

/// Makes this thread a CPU that runs a program in `space`.
fn run_in(space: &std::sync::Arc<Space>) {
    activate(space, &irq::disable());
    let faulting = std::sync::Arc::downgrade(space);
    on_page_fault(move |address, write| {
        let access = FaultAccess {
            write,
            ..FaultAccess::READ
        };
        faulting
            .upgrade()
            .is_some_and(|space| space.fault(address, access).is_ok())
    });
}

fn store(page: usize) {
    UserPtr::new(range(page, 1).start().as_usize())
        .write(7_u64)
        .unwrap();
}

/// How often CPU 0 has asked the other one for something.
fn sent() -> u64 {
    let own = flush::counters().find(|(cpu, _)| *cpu == CpuId::BOOT);
    own.unwrap().1.sent
}

/// Maps a page somewhere, and writes to it.
fn map_and_store(space: &Space) -> UserRange {
    let page = |range| {
        Ok(Region::anonymous(
            range,
            Protection::WRITE,
            RegionFlags::empty(),
        ))
    };
    let range = space.add_anywhere(PAGE_SIZE, PAGE_SIZE, page).unwrap();
    UserPtr::new(range.start().as_usize()).write(7_u64).unwrap();
    range
}

/// CPU 0 unmaps page 0 of a space that CPU 1 runs too, and looks at what `then` does; CPU 1 does `other` when it is
/// told.
fn unmap_while_another_cpu_runs(other: fn(), then: impl FnOnce(&Space, &dyn Fn())) {
    flush::set_strategy(Strategy::Deferred).unwrap();
    let space = Space::new().unwrap();
    space.add(region(0, PAGES)).unwrap();
    let (is_running, is_told, has_done) = (
        AtomicBool::new(false),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    thread::scope(|scope| {
        scope.spawn(|| {
            smp::host::become_cpu(CpuId::new(1));
            run_in(&space);
            is_running.store(true, Ordering::SeqCst);
            while !is_told.load(Ordering::SeqCst) {
                mailbox::serve_requests();
                thread::yield_now();
            }
            other();
            has_done.store(true, Ordering::SeqCst);
            flush::leave(&irq::disable());
        });
        run_in(&space);
        (0..PAGES).for_each(store);
        while !is_running.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        space.remove(range(0, 1)).unwrap();
        let tell_and_wait = || {
            is_told.store(true, Ordering::SeqCst);
            while !has_done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        };
        // Also if it fails, the other CPU has to end.
        let outcome = catch_unwind(AssertUnwindSafe(|| then(&space, &tell_and_wait)));
        is_told.store(true, Ordering::SeqCst);
        become_idle(&irq::disable());
        flush::leave(&irq::disable());
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn memory_waits_until_the_other_cpu_has_ticked_and_is_free_then() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || limbo::serve_tick(Kernel),
        |_, tell_and_wait| {
            limbo::serve_tick(Kernel);
            assert_eq!(anonymous_frames(), before + PAGES, "free before the sweep");
            tell_and_wait();
            limbo::serve_tick(Kernel);
            assert_eq!(anonymous_frames(), before + PAGES - 1);
        },
    );
    assert_eq!(anonymous_frames(), before);
}

#[test]
fn a_cpu_that_becomes_idle_counts_as_swept() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || become_idle(&irq::disable()),
        |_, tell_and_wait| {
            tell_and_wait();
            limbo::serve_tick(Kernel);
            assert_eq!(anonymous_frames(), before + PAGES - 1);
        },
    );
}

#[test]
fn mapping_at_the_address_makes_the_other_cpu_sweep_first() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || {},
        |space, _| {
            space.add(region(PAGES, 1)).unwrap();
            assert_eq!(
                anonymous_frames(),
                before + PAGES,
                "drained for another address"
            );
            space.add(region(0, 1)).unwrap();
            assert_eq!(anonymous_frames(), before + PAGES - 1);
        },
    );
}

#[test]
fn draining_gives_everything_back() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || {},
        |_, _| {
            limbo::drain(Kernel);
            assert_eq!(anonymous_frames(), before + PAGES - 1);
        },
    );
}

#[test]
fn addresses_that_the_kernel_chooses_rest_so_that_nobody_has_to_sweep() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || {},
        |space, _| {
            let mut ranges = [(); 20].map(|()| {
                let range = map_and_store(space);
                space.remove(range).unwrap();
                range
            });
            assert_eq!(anonymous_frames(), before + PAGES + ranges.len());
            ranges.sort_by_key(|range| range.start());
            let are_apart = |pair: &[UserRange]| pair[0].end() <= pair[1].start();
            assert!(ranges.windows(2).all(are_apart), "{ranges:?}");
        },
    );
    assert_eq!(anonymous_frames(), before);
}

/// How many unmaps limbo has room for.
const MOST: usize = 128;

#[test]
fn addresses_come_again_before_the_other_cpu_has_swept_by_itself() {
    let _machine = machine();
    unmap_while_another_cpu_runs(
        || {},
        |space, _| {
            let ranges: Vec<UserRange> = (0..2 * MOST)
                .map(|_| {
                    let range = map_and_store(space);
                    space.remove(range).unwrap();
                    range
                })
                .collect();
            assert_eq!(ranges[..MOST], ranges[MOST..]);
        },
    );
}

#[test]
fn a_full_limbo_makes_the_other_cpu_sweep_before_it_takes_more() {
    let _machine = machine();
    let before = anonymous_frames();
    unmap_while_another_cpu_runs(
        || {},
        |space, _| {
            let sent_before = sent();
            for page in PAGES..PAGES + 3 * MOST {
                space.add(region(page, 1)).unwrap();
                store(page);
                space.remove(range(page, 1)).unwrap();
                assert!(anonymous_frames() <= before + PAGES + MOST);
            }
            assert_eq!(sent() - sent_before, 3);
        },
    );
    assert_eq!(anonymous_frames(), before);
}
