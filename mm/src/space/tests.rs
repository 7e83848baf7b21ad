//! Address spaces, used as programs use them: by loads and stores that fault and are repaired.

mod big_pages;
mod eager;
mod files;
mod forks;
mod look;
mod model;
mod offers;
mod page_alloc;
mod shared;
mod switching;

use std::sync::Arc;

use smp::irq;

use super::{FaultAccess, FaultError, Protection, Region, RegionFlags, Space, activate};
use crate::addr::{PAGE_SIZE, PhysAddr, USER_START, UserRange, VirtAddr};
use crate::error::SpaceError;
use crate::frame::{FrameKind, accounts};
use crate::hw::host::machine;
use crate::hw::user_access::host::on_page_fault;
use crate::page_table::PhysicalRange;
use crate::user::{BadUserAddress, UserPtr};

pub(super) const READ: Protection = Protection::empty();
pub(super) const WRITE: Protection = Protection::WRITE;
pub(super) const LAZY: RegionFlags = RegionFlags::empty();

pub(super) fn range(page: usize, len_pages: usize) -> UserRange {
    UserRange::page_aligned(
        USER_START.as_usize() + page * PAGE_SIZE,
        len_pages * PAGE_SIZE,
    )
    .unwrap()
}

pub(super) fn address(page: usize) -> VirtAddr {
    range(page, 1).start()
}

/// Physical memory for region maps to carry about; nobody may map it.
pub(super) fn imaginary_memory(first_page: usize, len_pages: usize) -> PhysicalRange {
    let [start, len_bytes] = [first_page, len_pages].map(|pages| (pages * PAGE_SIZE) as u64);
    // SAFETY: who asks for it makes no mapping of it.
    unsafe { PhysicalRange::new(PhysAddr::new(start), len_bytes) }.unwrap()
}

/// A space with one lazy region.
pub(super) fn space_with(page: usize, len_pages: usize, protection: Protection) -> Arc<Space> {
    let space = Space::new().unwrap();
    space
        .add(Region::anonymous(range(page, len_pages), protection, LAZY))
        .unwrap();
    space
}

/// Makes this thread run a program in `space`.
fn run_in(space: &Arc<Space>) {
    activate(space, &irq::disable());
    let faulting = Arc::downgrade(space);
    on_page_fault(move |address, write| {
        let access = FaultAccess {
            write,
            user: true,
            ..FaultAccess::READ
        };
        faulting
            .upgrade()
            .is_some_and(|space| space.fault(address, access).is_ok())
    });
}

/// The program in `space` loads the word at `offset` words into `page`.
pub(super) fn load_at(
    space: &Arc<Space>,
    page: usize,
    offset: usize,
) -> Result<u64, BadUserAddress> {
    run_in(space);
    UserPtr::new(address(page).as_usize() + 8 * offset).read()
}

/// The program in `space` loads the first word of `page`.
pub(super) fn load(space: &Arc<Space>, page: usize) -> Result<u64, BadUserAddress> {
    load_at(space, page, 0)
}

/// The program in `space` stores `value` to the first word of `page`.
pub(super) fn store(space: &Arc<Space>, page: usize, value: u64) -> Result<(), BadUserAddress> {
    run_in(space);
    UserPtr::new(address(page).as_usize()).write(value)
}

/// How many frames are in use for user memory, files and page tables.
pub(super) fn frames_in_use() -> [usize; 3] {
    [FrameKind::Anonymous, FrameKind::File, FrameKind::PageTable]
        .map(|kind| accounts().in_use(kind))
}

pub(super) fn anonymous_frames() -> usize {
    accounts().in_use(FrameKind::Anonymous)
}

#[test]
fn pages_are_zero_and_come_when_they_are_touched() {
    let _machine = machine();
    let before = anonymous_frames();
    let space = space_with(0, 100, WRITE);
    assert_eq!(anonymous_frames(), before);
    assert_eq!(load(&space, 7), Ok(0));
    assert_eq!(store(&space, 9, 1), Ok(()));
    assert_eq!(load(&space, 9), Ok(1));
    assert_eq!(anonymous_frames(), before + 2);
}

#[test]
fn an_eager_region_has_all_its_pages_from_the_start() {
    let _machine = machine();
    let before = anonymous_frames();
    let space = Space::new().unwrap();
    space
        .add(Region::anonymous(range(0, 100), WRITE, RegionFlags::EAGER))
        .unwrap();
    assert_eq!(anonymous_frames(), before + 100);
    assert_eq!(store(&space, 99, 5), Ok(()));
    assert_eq!(anonymous_frames(), before + 100);
}

#[test]
fn an_eager_region_for_which_memory_is_short_leaves_nothing_behind() {
    let _machine = machine();
    let before = anonymous_frames();
    let space = Space::new().unwrap();
    let huge = Region::anonymous(range(0, accounts().free + 1), WRITE, RegionFlags::EAGER);
    assert_eq!(space.add(huge), Err(SpaceError::NoMemory));
    assert_eq!(anonymous_frames(), before);
    assert_eq!(
        space.fault(address(0), FaultAccess::READ),
        Err(FaultError::MissingPage)
    );
}

#[test]
fn each_forbidden_access_is_an_error_of_its_class() {
    let _machine = machine();
    let space = space_with(0, 1, READ);
    space
        .add(Region::anonymous(range(2, 1), Protection::EXECUTE, LAZY))
        .unwrap();
    let fault = |page, access| space.fault(address(page), access);
    for _touched in [false, true] {
        assert_eq!(fault(0, FaultAccess::WRITE), Err(FaultError::Permission));
        assert_eq!(fault(0, FaultAccess::EXECUTE), Err(FaultError::Permission));
        assert_eq!(fault(2, FaultAccess::WRITE), Err(FaultError::Permission));
        assert_eq!(fault(1, FaultAccess::READ), Err(FaultError::MissingPage));
        assert_eq!(
            space.fault(VirtAddr::new(0x20_0000), FaultAccess::READ),
            Err(FaultError::Privilege)
        );
        assert_eq!(
            (fault(0, FaultAccess::READ), fault(2, FaultAccess::EXECUTE)),
            (Ok(()), Ok(()))
        );
    }
}

#[test]
fn a_fault_that_another_thread_has_repaired_changes_nothing() {
    let _machine = machine();
    let space = space_with(0, 1, WRITE);
    store(&space, 0, 3).unwrap();
    let frames = frames_in_use();
    assert_eq!(space.fault(address(0), FaultAccess::READ), Ok(()));
    assert_eq!(space.fault(address(0), FaultAccess::WRITE), Ok(()));
    assert_eq!((load(&space, 0), frames_in_use()), (Ok(3), frames));
}

#[test]
fn removing_a_range_takes_its_pages_and_leaves_those_beside_it() {
    let _machine = machine();
    let space = space_with(0, 10, WRITE);
    (0..10).for_each(|page| store(&space, page, 100 + page as u64).unwrap());
    let before = anonymous_frames();
    space.remove(range(3, 4)).unwrap();
    assert_eq!(anonymous_frames(), before - 4);
    for page in 0..10 {
        let expected = if (3..7).contains(&page) {
            Err(BadUserAddress)
        } else {
            Ok(100 + page as u64)
        };
        assert_eq!(load(&space, page), expected, "page {page}");
    }
}

#[test]
fn memory_that_was_removed_is_zero_when_it_is_added_again() {
    let _machine = machine();
    let space = space_with(0, 4, WRITE);
    store(&space, 1, 7).unwrap();
    space.remove(range(0, 4)).unwrap();
    space
        .add(Region::anonymous(range(0, 4), WRITE, LAZY))
        .unwrap();
    assert_eq!(load(&space, 1), Ok(0));
}

#[test]
fn regions_may_not_overlap() {
    let _machine = machine();
    let space = space_with(2, 2, WRITE);
    let overlapping = Region::anonymous(range(3, 2), WRITE, LAZY);
    assert_eq!(space.add(overlapping), Err(SpaceError::Overlap));
    assert_eq!(load(&space, 4), Err(BadUserAddress));
}

#[test]
fn a_dropped_space_gives_everything_back() {
    let _machine = machine();
    let before = frames_in_use();
    let space = space_with(0, 3000, WRITE);
    (0..3000)
        .step_by(100)
        .for_each(|page| store(&space, page, 1).unwrap());
    assert_ne!(frames_in_use(), before);
    drop(space);
    assert_eq!(frames_in_use(), before);
}

#[test]
fn bytes_written_before_the_space_runs_lie_across_pages_and_nowhere_else() {
    let _machine = machine();
    let space = space_with(0, 2, WRITE);
    let place = VirtAddr::new(address(1).as_u64() - 8);
    let bytes = [5_u64, 6].map(u64::to_ne_bytes).concat();
    assert_eq!(space.write_bytes(place, &bytes), Ok(()));
    let words = [(0, 510), (0, 511), (1, 0), (1, 1)];
    let loaded = words.map(|(page, word)| load_at(&space, page, word).unwrap());
    assert_eq!(loaded, [0, 5, 6, 0]);
    let beyond = VirtAddr::new(address(2).as_u64() - 8);
    assert_eq!(
        space.write_bytes(beyond, &bytes),
        Err(SpaceError::NotMapped)
    );
}
