//! The model of one space, and what it says of each operation.

use std::collections::BTreeMap;

use super::known_pages;
use crate::error::SpaceError;
use crate::space::{GUARD_PAGES, Protection, RegionFlags};
use crate::user::BadUserAddress;

/// What a page holds.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Content {
    /// A value of the space's own, and what it was before the first store.
    Own { initial: u64, now: u64 },
    /// What this page of the shared memory holds.
    Shared(usize),
}

impl Content {
    pub(super) const ZERO: Content = Content::untouched(0);

    pub(super) const fn untouched(initial: u64) -> Content {
        Content::Own {
            initial,
            now: initial,
        }
    }
}

/// What the model knows of a page.
#[derive(Copy, Clone, Debug)]
pub(super) struct Page {
    pub(super) content: Content,
    pub(super) protection: Protection,
    pub(super) flags: RegionFlags,
}

/// The model of a space: its pages by number.
#[derive(Clone, Default, Debug)]
pub(super) struct Model {
    pub(super) pages: BTreeMap<usize, Page>,
    pub(super) is_destroyed: bool,
}

type Expected = Result<(), SpaceError>;

impl Model {
    fn any(&self, start: usize, len: usize, is_so: impl Fn(&Page) -> bool) -> bool {
        self.pages
            .range(start..start + len)
            .any(|(_, page)| is_so(page))
    }

    fn any_pinned(&self, start: usize, len: usize) -> bool {
        self.any(start, len, |page| page.flags.contains(RegionFlags::PINNED))
    }

    pub(super) fn has_kernel_pages(&self) -> bool {
        let is_kernels = |page: &Page| page.protection.contains(Protection::KERNEL);
        self.pages.values().any(is_kernels)
    }

    /// Whether `page` is the kernel's, perhaps since a region has just grown down to it.
    pub(super) fn is_kernels(&mut self, page: usize) -> bool {
        self.grow_to(page);
        let page = self.pages.get(&page);
        page.is_some_and(|page| page.protection.contains(Protection::KERNEL))
    }

    fn covers(&self, start: usize, len: usize) -> bool {
        known_pages(start, len).all(|page| self.pages.contains_key(&page))
    }

    fn put(&mut self, start: usize, len: usize, page_at: impl Fn(usize) -> Page) {
        self.pages
            .extend(known_pages(start, len).map(|at| (at, page_at(at - start))));
    }

    fn take(&mut self, start: usize, len: usize) {
        self.pages
            .retain(|at, _| !(start..start + len).contains(at));
    }

    /// `page_at` says what there is so many pages behind the start.
    pub(super) fn add(
        &mut self,
        start: usize,
        len: usize,
        page_at: impl Fn(usize) -> Page,
    ) -> Expected {
        if self.is_destroyed {
            return Err(SpaceError::NotMapped);
        }
        if self.any(start, len, |_| true) {
            return Err(SpaceError::Overlap);
        }
        self.put(start, len, page_at);
        Ok(())
    }

    pub(super) fn page_alloc(&mut self, start: usize, len: usize) -> Expected {
        for page in self.pages.range(start..start + len).map(|(_, page)| page) {
            if !page.flags.contains(RegionFlags::PAGE_ALLOC) {
                return Err(SpaceError::Overlap);
            }
            if page.flags.contains(RegionFlags::PINNED) {
                return Err(SpaceError::Pinned);
            }
        }
        if self.is_destroyed {
            return Err(SpaceError::NotMapped);
        }
        self.put(start, len, |_| Page {
            content: Content::ZERO,
            protection: Protection::WRITE,
            flags: RegionFlags::PAGE_ALLOC,
        });
        Ok(())
    }

    pub(super) fn page_free(&mut self, start: usize, len: usize) -> Expected {
        let is_others = |page: &Page| !page.flags.contains(RegionFlags::PAGE_ALLOC);
        if !self.covers(start, len) || self.any(start, len, is_others) {
            return Err(SpaceError::NotMapped);
        }
        self.remove(start, len)
    }

    pub(super) fn remove(&mut self, start: usize, len: usize) -> Expected {
        if self.any_pinned(start, len) {
            return Err(SpaceError::Pinned);
        }
        self.take(start, len);
        Ok(())
    }

    pub(super) fn protect(&mut self, start: usize, len: usize, protection: Protection) -> Expected {
        let is_kernels = |page: &Page| page.protection.contains(Protection::KERNEL);
        if !self.covers(start, len) {
            return Err(SpaceError::NotMapped);
        }
        if !protection.contains(Protection::KERNEL) && self.any(start, len, is_kernels) {
            return Err(SpaceError::KernelOnly);
        }
        for (_, page) in self.pages.range_mut(start..start + len) {
            page.protection = protection;
        }
        Ok(())
    }

    pub(super) fn set_pinned(&mut self, start: usize, len: usize, is_pinned: bool) -> Expected {
        if !self.covers(start, len) {
            return Err(SpaceError::NotMapped);
        }
        for (_, page) in self.pages.range_mut(start..start + len) {
            page.flags.set(RegionFlags::PINNED, is_pinned);
        }
        Ok(())
    }

    pub(super) fn move_frames(&self, start: usize, len: usize) -> Expected {
        match () {
            () if !self.covers(start, len) => Err(SpaceError::NotMapped),
            () if self.any_pinned(start, len) => Err(SpaceError::Pinned),
            () => Ok(()),
        }
    }

    /// Lets the region above `page` grow down to it, if it may.
    fn grow_to(&mut self, page: usize) {
        let Some((&top, &above)) = self.pages.range(page..).next() else {
            return;
        };
        let below = self.pages.range(..page).next_back();
        let is_guarded = below.is_none_or(|(&below, _)| below + GUARD_PAGES < page);
        if above.flags.contains(RegionFlags::GROW_DOWN) && is_guarded {
            let content = Content::ZERO;
            self.put(page, top - page, |_| Page { content, ..above });
        }
    }

    /// The page, not the kernel's, that a program reads or writes, if it may.
    pub(super) fn touch(&mut self, at: usize, write: bool) -> Result<&mut Page, BadUserAddress> {
        self.grow_to(at);
        let page = self.pages.get_mut(&at).ok_or(BadUserAddress)?;
        if write && !page.protection.contains(Protection::WRITE) {
            return Err(BadUserAddress);
        }
        Ok(page)
    }
}
