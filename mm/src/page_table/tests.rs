//! Page tables over the test machine's memory.

mod big;
mod big_model;
mod copies;
mod iterators;
mod model;
mod rights;

use std::boxed::Box;

use super::{PageTable, Perm, VmIter, VmIterMut, X86};
use crate::addr::{PAGE_SIZE, PhysAddr, USER_START, VirtAddr};
use crate::flush::{ActiveCpus, FlushBatch, SpaceId};
use crate::frame::{self, Frame, FrameKind};

/// An address space that no CPU has loaded.
struct TestSpace {
    active: Box<ActiveCpus>,
    table: Option<PageTable>,
}

impl TestSpace {
    fn new() -> TestSpace {
        TestSpace::with(X86::FOUR_LEVELS)
    }

    fn with(geometry: X86) -> TestSpace {
        let space = SpaceId::fresh();
        let table = PageTable::empty(space, geometry).expect("memory for a root");
        TestSpace {
            active: Box::new(ActiveCpus::new(space)),
            table: Some(table),
        }
    }

    fn table(&self) -> &PageTable {
        self.table.as_ref().expect("not retired")
    }

    /// The table to change, and a batch to do it with.
    fn change(&mut self) -> (&mut PageTable, FlushBatch<'_>) {
        (
            self.table.as_mut().expect("not retired"),
            FlushBatch::new(&self.active),
        )
    }

    /// Maps a new frame at `va`, and returns its address.
    fn map_new(&mut self, va: VirtAddr, perm: Perm) -> PhysAddr {
        let frame = new_frame();
        let pa = frame.pa();
        let (table, mut batch) = self.change();
        VmIterMut::new_mut(table, va).map(frame, perm, &mut batch);
        pa
    }

    fn unmap(&mut self, va: VirtAddr) {
        let (table, mut batch) = self.change();
        VmIterMut::new_mut(table, va).unmap(&mut batch);
    }

    fn at(&self, va: VirtAddr) -> VmIter<'_> {
        VmIter::new(self.table(), va)
    }
}

impl Drop for TestSpace {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.retire(&mut FlushBatch::new(&self.active));
        }
    }
}

fn new_frame() -> Frame {
    frame::alloc(FrameKind::Anonymous).expect("memory for a frame")
}

/// The `index`th page of user space.
fn page(index: u64) -> VirtAddr {
    VirtAddr::new(USER_START.as_u64() + index * PAGE_SIZE as u64)
}

/// How many frames user memory and page tables have now.
fn frames_in_use() -> (usize, usize) {
    let accounts = frame::accounts();
    (
        accounts.in_use(FrameKind::Anonymous),
        accounts.in_use(FrameKind::PageTable),
    )
}
