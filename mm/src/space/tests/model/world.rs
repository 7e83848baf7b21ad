//! Spaces with their models, and what they share.

use std::sync::Arc;
use std::vec::Vec;

use super::super::files::CountingFile;
use super::super::{LAZY, address, load, range, store};
use super::expected::{Content, Model, Page};
use super::operation::{Operation, Place};
use super::{BIG_CUTS, FILE_PAGES, MOST_SPACES, SHARED_PAGES, known_pages};
use crate::addr::{PAGE_SIZE, USER_START};
use crate::error::SpaceError;
use crate::space::{
    Backing, FaultAccess, FaultError, FileBacking, ForkPolicy, Protection, Region, RegionFlags,
    SharedPages, Space,
};

/// A space and its model.
pub(super) struct Modelled {
    pub(super) space: Arc<Space>,
    pub(super) model: Model,
    /// Where `add_anywhere` has added something last.
    pub(super) elsewhere: Option<usize>,
}

/// Some spaces, the last of which is the one in which things happen.
pub(super) struct World {
    spaces: Vec<Modelled>,
    file: Arc<CountingFile>,
    memory: Arc<SharedPages>,
    /// What each page of `memory` holds.
    shared_values: [u64; SHARED_PAGES],
}

/// Lets the program in `space` touch a page that only the kernel may use.
///
/// Not by a pointer that it gives to a system call, which is the kernel's own access.
fn expect_privilege_fault(space: &Space, page: usize) {
    let access = FaultAccess {
        user: true,
        ..FaultAccess::READ
    };
    let result = space.fault(address(page), access);
    assert_eq!(result, Err(FaultError::Privilege), "page {page}");
}

fn flags(is_eager: bool) -> RegionFlags {
    if is_eager { RegionFlags::EAGER } else { LAZY }
}

impl World {
    pub(super) fn new() -> World {
        let first = Modelled {
            space: Space::new().unwrap(),
            model: Model::default(),
            elsewhere: None,
        };
        World {
            spaces: vec![first],
            file: CountingFile::new(FILE_PAGES * PAGE_SIZE),
            memory: SharedPages::new(SHARED_PAGES as u64).unwrap(),
            shared_values: [0; SHARED_PAGES],
        }
    }

    fn current(&mut self) -> &mut Modelled {
        self.spaces.last_mut().unwrap()
    }

    /// The first of some pages, and how many they are.
    fn resolve(&self, place: Place) -> (usize, usize) {
        match (place, self.spaces.last().and_then(|last| last.elsewhere)) {
            (Place::At(start, len), _) => (start, len),
            (Place::Elsewhere(len), Some(start)) => (start, len),
            (Place::Elsewhere(len), None) => (super::FIRST, len),
        }
    }

    /// Does `operation` in the space whose `turn` it is.
    pub(super) fn step(&mut self, turn: usize, operation: &Operation) {
        let len_spaces = self.spaces.len();
        self.spaces.rotate_left(turn % len_spaces);
        let has_big_pages_changed = self.apply(operation);
        let shared_values = self.shared_values;
        self.current().check(&shared_values, has_big_pages_changed);
    }

    /// Compares all spaces with their models, first without touching them and then as their programs see them.
    pub(super) fn check_all(&mut self) {
        let shared_values = self.shared_values;
        for modelled in &mut self.spaces {
            modelled.check(&shared_values, true);
            modelled.check_by_loads(&shared_values);
        }
    }

    /// Does `operation` in the last space, and returns whether it was about big pages.
    fn apply(&mut self, operation: &Operation) -> bool {
        let mut is_big = false;
        let mut resolve = |world: &World, place: Place| {
            let (start, len) = world.resolve(place);
            is_big |= (BIG_CUTS[0]..BIG_CUTS[4]).contains(&start);
            (start, len)
        };
        match *operation {
            Operation::Add(place, protection, is_eager) => {
                let place = resolve(self, place);
                self.add(
                    place,
                    protection,
                    flags(is_eager),
                    Backing::Anonymous,
                    |_| Content::ZERO,
                );
            }
            Operation::AddStack(place, protection) => {
                let place = resolve(self, place);
                let flags = RegionFlags::GROW_DOWN;
                self.add(place, protection, flags, Backing::Anonymous, |_| {
                    Content::ZERO
                });
            }
            Operation::AddBig {
                first,
                len,
                protection,
            } => {
                let place = resolve(self, Place::At(BIG_CUTS[0] + 512 * first, 512 * len));
                let flags = RegionFlags::EAGER;
                self.add(place, protection, flags, Backing::Anonymous, |_| {
                    Content::ZERO
                });
            }
            Operation::AddFile(place, protection, is_eager, first) => {
                let place = resolve(self, place);
                let offset = (first * PAGE_SIZE) as u64;
                let file = FileBacking::new(self.file.clone(), offset, u64::MAX).unwrap();
                let content = |at: usize| match first + at {
                    index if index < FILE_PAGES => Content::untouched(1000 + 512 * index as u64),
                    _ => Content::ZERO,
                };
                self.add(
                    place,
                    protection,
                    flags(is_eager),
                    Backing::File(file),
                    content,
                );
            }
            Operation::AddShared(place, protection, is_eager, first) => {
                let place = resolve(self, place);
                let offset = (first * PAGE_SIZE) as u64;
                let file = FileBacking::shared(self.memory.clone(), offset).unwrap();
                // Behind its end is memory of the space's own.
                let content = |at: usize| match first + at {
                    index if index < SHARED_PAGES => Content::Shared(index),
                    _ => Content::ZERO,
                };
                self.add(
                    place,
                    protection,
                    flags(is_eager),
                    Backing::File(file),
                    content,
                );
            }
            Operation::AddAnywhere(len, protection) => self.current().add_anywhere(len, protection),
            Operation::PageAlloc(place) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.page_alloc(start, len);
                assert_eq!(current.space.page_alloc(range(start, len)), expected);
            }
            Operation::PageFree(place) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.page_free(start, len);
                assert_eq!(current.space.page_free(range(start, len)), expected);
            }
            Operation::Remove(place) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.remove(start, len);
                assert_eq!(current.space.remove(range(start, len)), expected);
            }
            Operation::Protect(place, protection) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.protect(start, len, protection);
                assert_eq!(
                    current.space.protect(range(start, len), protection),
                    expected
                );
            }
            Operation::SetPinned(place, is_pinned) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.set_pinned(start, len, is_pinned);
                assert_eq!(
                    current.space.set_pinned(range(start, len), is_pinned),
                    expected
                );
            }
            Operation::ProtectAndPin(place, protection, is_pinned) => {
                let (start, len) = resolve(self, place);
                let Modelled { space, model, .. } = self.current();
                let expected = model
                    .protect(start, len, protection)
                    .and_then(|()| model.set_pinned(start, len, is_pinned));
                let result = space.protect_and_pin(range(start, len), protection, is_pinned);
                assert_eq!(result, expected);
            }
            Operation::MoveFrames(place) => {
                let (start, len) = resolve(self, place);
                let current = self.current();
                let expected = current.model.move_frames(start, len);
                assert_eq!(current.space.move_frames(range(start, len)), expected);
            }
            Operation::Load(place) => {
                let (start, len) = resolve(self, place);
                let shared_values = self.shared_values;
                known_pages(start, len).for_each(|page| self.current().load(page, &shared_values));
            }
            Operation::Store(place, value) => {
                let (start, len) = resolve(self, place);
                known_pages(start, len).for_each(|page| self.store(page, value + page as u64));
            }
            Operation::Fork(policy) => {
                self.fork(policy);
                is_big = true;
            }
            Operation::Destroy => {
                let current = self.current();
                current.space.destroy();
                current.model.pages.clear();
                current.model.is_destroyed = true;
            }
            Operation::Drop if self.spaces.len() > 1 => drop(self.spaces.pop()),
            Operation::Drop => {}
        }
        is_big
    }

    fn add(
        &mut self,
        (start, len): (usize, usize),
        protection: Protection,
        flags: RegionFlags,
        backing: Backing,
        content: impl Fn(usize) -> Content,
    ) {
        let Modelled { space, model, .. } = self.current();
        let region = Region::new(range(start, len), protection, backing).with_flags(flags);
        let expected = model.add(start, len, |at| Page {
            content: content(at),
            protection,
            flags,
        });
        assert_eq!(space.add(region), expected);
    }

    fn store(&mut self, page: usize, value: u64) {
        let Modelled { space, model, .. } = self.spaces.last_mut().unwrap();
        if model.is_kernels(page) {
            return expect_privilege_fault(space, page);
        }
        let result = store(space, page, value);
        let touched = model.touch(page, true);
        assert_eq!(result, touched.as_ref().map(|_| ()).map_err(|error| *error));
        match touched.map(|page| &mut page.content) {
            Ok(Content::Own { now, .. }) => *now = value,
            Ok(Content::Shared(index)) => self.shared_values[*index] = value,
            Err(_) => {}
        }
    }

    fn fork(&mut self, policy: ForkPolicy) {
        if self.spaces.len() < MOST_SPACES {
            let current = self.current();
            // The others copy only what users can reach.
            let policy = if current.model.has_kernel_pages() {
                ForkPolicy::Shared
            } else {
                policy
            };
            let child = Modelled {
                space: current.space.fork(policy).unwrap(),
                model: Model {
                    is_destroyed: false,
                    ..current.model.clone()
                },
                elsewhere: current.elsewhere,
            };
            self.spaces.push(child);
        }
    }
}

impl Modelled {
    fn add_anywhere(&mut self, len: usize, protection: Protection) {
        let result = self.space.add_anywhere(len * PAGE_SIZE, 1, |range| {
            Ok(Region::anonymous(range, protection, LAZY))
        });
        if self.model.is_destroyed {
            assert_eq!(result.map(drop), Err(SpaceError::NotMapped));
            return;
        }
        let added = result.unwrap();
        assert_eq!(added.len_pages(), len);
        let start = (added.start().as_usize() - USER_START.as_usize()) / PAGE_SIZE;
        let expected = self.model.add(start, len, |_| Page {
            content: Content::ZERO,
            protection,
            flags: LAZY,
        });
        assert_eq!(expected, Ok(()), "there is something at {added:?} already");
        self.elsewhere = Some(start);
    }

    /// Lets the program read `page`.
    pub(super) fn load(&mut self, page: usize, shared_values: &[u64; SHARED_PAGES]) {
        if self.model.is_kernels(page) {
            return expect_privilege_fault(&self.space, page);
        }
        let result = load(&self.space, page);
        let expected = self
            .model
            .touch(page, false)
            .map(|page| match page.content {
                Content::Own { now, .. } => now,
                Content::Shared(index) => shared_values[index],
            });
        assert_eq!(result, expected, "page {page}");
    }
}
