//! Eager regions, while others use the space and memory runs out.

use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::{LAZY, READ, WRITE, address, anonymous_frames, frames_in_use, range};
use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::frame::{self, Frame, FrameKind, alloc_zeroed};
use crate::hw::host::machine;
use crate::space::{
    FaultAccess, FileBacking, ForkPolicy, PageSource, PageSourceError, Region, RegionFlags, Space,
};

/// A file of one frame, again and again, that does something before it gives out a page.
struct File<F> {
    len_pages: u64,
    before_page: F,
    kept: Frame,
}

impl<F: Fn(u64) + Send + Sync> PageSource for File<F> {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        (self.before_page)(index);
        Ok(self.kept.share())
    }

    fn len_bytes(&self) -> u64 {
        self.len_pages * PAGE_SIZE as u64
    }
}

/// Adds an eager region of so many pages from `page` on that shows a [`File`] which does `before_page`.
fn add_file<F: Fn(u64) + Send + Sync + 'static>(
    space: &Space,
    page: usize,
    len_pages: usize,
    before_page: F,
) -> Result<(), SpaceError> {
    let file = File {
        len_pages: len_pages as u64,
        before_page,
        kept: alloc_zeroed(FrameKind::File).unwrap(),
    };
    let len_bytes = file.len_bytes();
    let backing = FileBacking::new(Arc::new(file), 0, len_bytes).unwrap();
    let region = Region::file(range(page, len_pages), READ, backing);
    space.add(region.with_flags(RegionFlags::EAGER))
}

fn is_mapped(space: &Space, page: usize) -> bool {
    space
        .mapping(address(page))
        .is_some_and(|mapping| mapping.page.is_some())
}

/// All the memory that there is, until it is dropped.
fn hoard() -> Vec<Frame> {
    core::iter::from_fn(|| frame::alloc(FrameKind::Kernel).ok()).collect()
}

fn eager(page: usize, len_pages: usize) -> Region {
    Region::anonymous(range(page, len_pages), WRITE, RegionFlags::EAGER)
}

#[test]
fn what_another_thread_maps_there_meanwhile_is_neither_filled_in_nor_taken_out() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let grows = Region::anonymous(range(8, 1), WRITE, LAZY).growing_down(None);
    space.add(grows).unwrap();
    let others = Arc::downgrade(&space);
    let result = add_file(&space, 0, 4, move |_| {
        let theirs = Region::anonymous(range(1, 2), WRITE, LAZY);
        let _ = others.upgrade().unwrap().add(theirs);
    });
    assert_eq!(result, Err(SpaceError::Overlap));
    let mut ranges = Vec::new();
    space.for_each_region(&mut |region| ranges.push(region.range));
    assert_eq!(ranges, [range(1, 2), range(8, 1)]);
    assert!((0..9).all(|page| !is_mapped(&space, page)));
}

#[test]
fn a_fork_meanwhile_has_nothing_of_it_and_does_no_harm() {
    let _machine = machine();
    let before = frames_in_use();
    let space = Space::new().unwrap();
    // In a table that the fork shares.
    space.add(eager(5, 3)).unwrap();
    let child = Arc::new(Mutex::new(None));
    let (forking, forked) = (Arc::downgrade(&space), child.clone());
    let result = add_file(&space, 0, 4, move |_| {
        let forking = forking.upgrade().unwrap();
        let fork = || forking.fork(ForkPolicy::Shared).unwrap();
        forked.lock().unwrap().get_or_insert_with(fork);
    });
    assert_eq!(result, Ok(()));
    let child = child.lock().unwrap().take().unwrap();
    assert_eq!([0, 3, 5].map(|page| is_mapped(&space, page)), [true; 3]);
    assert_eq!(
        [0, 3, 5].map(|page| is_mapped(&child, page)),
        [false, false, true]
    );
    drop((space, child));
    assert_eq!(frames_in_use(), before);
}

#[test]
fn without_memory_for_a_table_what_has_been_mapped_is_taken_out_again() {
    let _machine = machine();
    let space = Space::new().unwrap();
    // The first of the two tables that the region needs is there, and a fork shares it.
    space.add(eager(500, 1)).unwrap();
    let child = space.fork(ForkPolicy::Shared).unwrap();
    assert!(!is_mapped(&space, 501));
    let before = frames_in_use();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = kept.clone();
    let result = add_file(&space, 501, 20, move |index| {
        if index == 19 {
            let mut frames = hoard();
            // For copies of the tables that are shared, of three levels.
            frames.truncate(frames.len() - 3);
            *keeping.lock().unwrap() = frames;
        }
    });
    assert_eq!(result, Err(SpaceError::NoMemory));
    kept.lock().unwrap().clear();
    assert!(space.mapping(address(501)).is_none());
    let pages = 501..521;
    assert!(pages.clone().all(|page| !is_mapped(&space, page)));
    assert!(is_mapped(&space, 500) && is_mapped(&child, 500));
    // What was mapped for a moment has gone, too.
    space
        .add(Region::anonymous(range(501, 20), WRITE, LAZY))
        .unwrap();
    assert!(pages.clone().all(|page| !is_mapped(&space, page)));
    assert_eq!(frames_in_use()[0], before[0]);
}

#[test]
fn big_pages_are_used_where_they_fit_and_where_small_ones_have_been() {
    let _machine = machine();
    let before = anonymous_frames();
    let space = Space::new().unwrap();
    space.add(eager(600, 1)).unwrap();
    space.remove(range(600, 1)).unwrap();
    space.add(eager(510, 1030)).unwrap();
    let level = |page| space.mapping(address(page)).unwrap().page.unwrap().level;
    assert_eq!(
        [510, 511, 512, 1023, 1024, 1535, 1536, 1539].map(level),
        [1, 1, 2, 2, 2, 2, 1, 1]
    );
    assert_eq!(anonymous_frames(), before + 1030);
    let anywhere = space.add_anywhere(3 << 20, 2 << 20, |range| {
        Ok(Region::anonymous(range, WRITE, RegionFlags::EAGER))
    });
    let found = space.mapping(anywhere.unwrap().start()).unwrap();
    assert_eq!(found.page.unwrap().level, 2);
}

#[test]
fn page_table_pages_that_have_become_empty_are_few() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let stays = Region::anonymous(range(1, 1), WRITE, RegionFlags::EAGER);
    space.add(stays).unwrap();
    let [_, _, before] = frames_in_use();
    for number in 0..1000 {
        let one = range(512 * number, 1);
        let region = Region::anonymous(one, WRITE, RegionFlags::EAGER);
        space.add(region).unwrap();
        space.remove(one).unwrap();
    }
    let [_, _, after] = frames_in_use();
    assert!(after - before <= 66, "{} tables stay", after - before);
    assert!(space.mapping(address(1)).unwrap().page.is_some());
}

#[test]
fn empty_page_table_pages_that_a_fork_has_shared_do_not_stay_for_ever() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space.add(eager(1, 1)).unwrap();
    let [_, _, before] = frames_in_use();
    for number in 0..400 {
        // Each in a table of level 3 of its own.
        let one = range((number + 1) << 18, 1);
        space.add(eager((number + 1) << 18, 1)).unwrap();
        space.remove(one).unwrap();
        if number % 20 == 0 {
            let child = space.fork(ForkPolicy::Shared).unwrap();
            // While the child has the tables.
            space.fault(address(1), FaultAccess::WRITE).unwrap();
            drop(child);
        }
    }
    let [_, _, after] = frames_in_use();
    // Of two levels each.
    assert!(after - before <= 2 * 66, "{} tables stay", after - before);
}

#[test]
fn an_empty_table_that_a_fork_shares_is_made_private_first() {
    let _machine = machine();
    let space = Space::new().unwrap();
    space.add(eager(512, 1)).unwrap();
    space.remove(range(512, 1)).unwrap();
    let child = space.fork(ForkPolicy::Shared).unwrap();
    space.add(eager(512, 512)).unwrap();
    assert_eq!(add_file(&child, 512, 20, |_| ()), Ok(()));
    let level = |space: &Space| space.mapping(address(512)).unwrap().page.unwrap().level;
    assert_eq!([level(&space), level(&child)], [2, 1]);
}

#[test]
fn empty_page_table_pages_do_not_pile_up_from_fork_to_fork() {
    let _machine = machine();
    let mut space = Space::new().unwrap();
    space.add(eager(1, 1)).unwrap();
    let [_, _, before] = frames_in_use();
    for generation in 0..20 {
        for number in 0..60 {
            let page = 512 * (1 + number + 60 * generation);
            space.add(eager(page, 1)).unwrap();
            space.remove(range(page, 1)).unwrap();
        }
        space = space.fork(ForkPolicy::Shared).unwrap();
        space.fault(address(1), FaultAccess::WRITE).unwrap();
    }
    let [_, _, after] = frames_in_use();
    assert!(after - before <= 200, "{} tables stay", after - before);
}
