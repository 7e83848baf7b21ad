//! Eager regions for which memory runs out while others use the space.

use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use smp::CpuId;
use smp::host::become_cpu;

use super::{READ, WRITE, address, frames_in_use, range};
use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::frame::{self, Frame, FrameKind};
use crate::hw::host::machine;
use crate::space::{
    FileBacking, ForkPolicy, PageSource, PageSourceError, Protection, Region, RegionFlags, Space,
};

const LEN_PAGES: usize = 4;

/// A file that has one page and no memory for the second, but does something before it says so.
struct ShortFile<F>(F);

impl<F: Fn() + Send + Sync> PageSource for ShortFile<F> {
    fn page(&self, index: u64) -> Result<Frame, PageSourceError> {
        if index == 0 {
            return Ok(frame::alloc_zeroed(FrameKind::File)?);
        }
        (self.0)();
        Err(PageSourceError::NoMemory)
    }

    fn len_bytes(&self) -> u64 {
        (LEN_PAGES * PAGE_SIZE) as u64
    }
}

/// Adds an eager region of four pages that shows a [`ShortFile`] which does `meanwhile`.
fn add_short(
    space: &Space,
    protection: Protection,
    meanwhile: impl Fn() + Send + Sync + 'static,
) -> Result<(), SpaceError> {
    let len_bytes = (LEN_PAGES * PAGE_SIZE) as u64;
    let backing = FileBacking::new(Arc::new(ShortFile(meanwhile)), 0, len_bytes).unwrap();
    let region = Region::file(range(0, LEN_PAGES), protection, backing);
    space.add(region.with_flags(RegionFlags::EAGER))
}

#[test]
fn what_another_thread_has_put_in_its_place_stays() {
    let _machine = machine();
    let space = Space::new().unwrap();
    let others: Weak<Space> = Arc::downgrade(&space);
    let result = add_short(&space, WRITE, move || {
        let space = others.upgrade().unwrap();
        space.remove(range(0, 2)).unwrap();
        let theirs = Region::anonymous(range(0, 2), WRITE, RegionFlags::EAGER);
        space.add(theirs).unwrap();
        space.set_pinned(range(2, 1), true).unwrap();
    });
    assert_eq!(result, Err(SpaceError::NoMemory));
    let theirs = space.mapping(address(0)).unwrap();
    assert_eq!(theirs.region.range, range(0, 2));
    assert!(theirs.page.is_some());
    for page in 2..LEN_PAGES {
        assert!(space.mapping(address(page)).is_none(), "page {page}");
    }
}

#[test]
fn nothing_is_left_although_another_thread_forks_and_no_memory_is_left_either() {
    let _machine = machine();
    let before = frames_in_use();
    let space = Space::new().unwrap();
    let (forking, hoard) = (space.clone(), Arc::new(Mutex::new(Vec::new())));
    let (send, forked) = mpsc::channel();
    let hoarding = hoard.clone();
    let result = add_short(&space, READ, move || {
        let (space, send) = (forking.clone(), send.clone());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            become_cpu(CpuId::new(1));
            send.send(space.fork(ForkPolicy::Shared)).unwrap();
            let _ = tell.send(());
        });
        // Time for the fork; it is right that it takes no place meanwhile.
        let _ = told.recv_timeout(Duration::from_millis(200));
        let mut hoard = hoarding.lock().unwrap();
        while let Ok(frame) = frame::alloc(FrameKind::Kernel) {
            hoard.push(frame);
        }
    });
    assert_eq!(result, Err(SpaceError::NoMemory));
    assert!(space.mapping(address(0)).is_none());
    hoard.lock().unwrap().clear();
    let child = forked.recv().unwrap();
    if let Ok(child) = &child {
        assert!(child.mapping(address(0)).is_none());
    }
    drop((space, child));
    assert_eq!(frames_in_use(), before);
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
