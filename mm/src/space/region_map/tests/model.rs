//! Random sequences of operations against a plain model: a map from page to what is there.

mod operations;
mod page;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, prop, proptest};

use super::{RegionMap, extents, page_of};
use crate::addr::{PAGE_SIZE, USER_END, UserRange};
use crate::error::SpaceError;
use crate::frame::Frame;
use crate::space::backing::{Backing, PageContent};
use crate::space::file_backing::{FileBacking, Sharing};
use crate::space::page_source::{PageSource, PageSourceError};
use crate::space::protection::Protection;
use crate::space::region::{Region, RegionFlags};
use crate::space::region_map::GUARD_PAGES;
use crate::space::tests::{address, imaginary_memory, range};
use operations::{Extent, NewRegion, Operation, Source, operation};
use page::{Content, Page};

/// Above these, all of user space is one region.
const PAGES: usize = 96;

/// A map and what it should be.
struct Checked {
    map: RegionMap,
    model: BTreeMap<usize, Page>,
    files: [Arc<dyn PageSource>; 2],
}

struct Endless;

impl PageSource for Endless {
    fn page(&self, _index: u64) -> Result<Frame, PageSourceError> {
        Err(PageSourceError::Unreadable)
    }
    fn len_bytes(&self) -> u64 {
        u64::MAX
    }
}

impl Checked {
    fn new() -> Checked {
        let mut map = RegionMap::new();
        let rest = UserRange::all().split_at(address(PAGES)).unwrap().1;
        // Nothing is like it.
        let rest = Region::anonymous(rest, Protection::all(), RegionFlags::PAGE_ALLOC);
        map.insert(rest).unwrap();
        Checked {
            map,
            model: BTreeMap::new(),
            files: [Arc::new(Endless), Arc::new(Endless)],
        }
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Insert(at, new) => {
                let is_free = self.touched(at).next().is_none();
                let expected = refusal(at, &new).and(if is_free {
                    Ok(())
                } else {
                    Err(SpaceError::Overlap)
                });
                assert_eq!(self.map.insert(self.region(at, &new)), expected);
                if expected.is_ok() {
                    self.put(at, &new);
                }
            }
            Operation::Replace(at, protection) => {
                let new = NewRegion {
                    protection,
                    flags: RegionFlags::PAGE_ALLOC,
                    limit: None,
                    source: Source::Anonymous,
                };
                self.map.replace(self.region(at, &new)).unwrap();
                self.put(at, &new);
            }
            Operation::Remove(at) => {
                let expected = self.unless_pinned(at);
                assert_eq!(self.map.remove(at.range()), expected);
                if expected.is_ok() {
                    self.model
                        .retain(|page, _| at.pages().all(|gone| gone != *page));
                }
            }
            Operation::Protect(at, protection) => {
                let is_for_users = !protection.contains(Protection::KERNEL);
                let mut touched = self.touched(at);
                let expected = if !self.is_covered(at) {
                    Err(SpaceError::NotMapped)
                } else if is_for_users
                    && touched.any(|page| page.protection.contains(Protection::KERNEL))
                {
                    Err(SpaceError::KernelOnly)
                } else {
                    Ok(())
                };
                drop(touched);
                assert_eq!(self.map.protect(at.range(), protection), expected);
                if expected.is_ok() {
                    self.change(at, |page| page.protection = protection);
                }
            }
            Operation::SetPinned(at, is_pinned) => {
                let expected = self.if_covered(at);
                assert_eq!(self.map.set_pinned(at.range(), is_pinned), expected);
                if expected.is_ok() {
                    self.change(at, |page| page.flags.set(RegionFlags::PINNED, is_pinned));
                }
            }
            Operation::CheckMovable(at) => {
                let expected = self.if_covered(at).and_then(|()| self.unless_pinned(at));
                assert_eq!(self.map.check_movable(at.range()), expected);
            }
            Operation::GrowTo(page) => {
                let growth = self.growth(page);
                let found = self.map.grow_to(address(page)).map(|region| region.range);
                assert_eq!(
                    found.is_some(),
                    growth.is_some() || self.model.contains_key(&page)
                );
                assert!(found.is_none_or(|range| range.contains(address(page))));
                if let Some((at, like)) = growth {
                    self.model.extend(at.pages().map(|page| (page, like)));
                }
            }
            Operation::FindFree {
                len_pages,
                align_pages,
            } => {
                let is_free = |page: &usize| {
                    page.is_multiple_of(align_pages)
                        && (*page..page + len_pages).all(|page| self.is_free(page))
                };
                let expected = (0..PAGES).rev().find(is_free);
                let found = self
                    .map
                    .find_free(len_pages, align_pages * PAGE_SIZE, USER_END);
                assert_eq!(found, expected.map(|page| range(page, len_pages)));
            }
        }
    }

    fn region(&self, at: Extent, new: &NewRegion) -> Region {
        let bytes = |pages: usize| pages.saturating_mul(PAGE_SIZE) as u64;
        let backing = match new.source {
            Source::Anonymous => Backing::Anonymous,
            Source::File {
                file,
                first,
                len_pages,
                sharing,
            } => {
                let (file, offset) = (self.files[file].clone(), bytes(first));
                let file = match sharing {
                    Sharing::Private => FileBacking::new(file, offset, bytes(len_pages)),
                    Sharing::Shared => FileBacking::shared(file, offset),
                };
                Backing::File(file.unwrap())
            }
            Source::Physical { first } => Backing::Physical(imaginary_memory(first, at.len_pages)),
        };
        Region {
            growth_limit: new.limit.map(address),
            ..Region::new(at.range(), new.protection, backing).with_flags(new.flags)
        }
    }

    fn put(&mut self, at: Extent, new: &NewRegion) {
        self.model
            .extend(at.pages().enumerate().map(|(index, page)| {
                let new = Page {
                    protection: new.protection,
                    flags: new.flags,
                    limit: new.limit,
                    content: Content::of(new.source, index),
                };
                (page, new)
            }));
    }

    fn change(&mut self, at: Extent, change: impl Fn(&mut Page)) {
        for (_, page) in self.model.range_mut(at.page..at.page + at.len_pages) {
            change(page);
        }
    }

    fn touched(&self, at: Extent) -> impl Iterator<Item = &Page> {
        at.pages().filter_map(|page| self.model.get(&page))
    }

    fn is_covered(&self, at: Extent) -> bool {
        self.touched(at).count() == at.len_pages
    }

    fn if_covered(&self, at: Extent) -> Result<(), SpaceError> {
        if self.is_covered(at) {
            Ok(())
        } else {
            Err(SpaceError::NotMapped)
        }
    }

    fn unless_pinned(&self, at: Extent) -> Result<(), SpaceError> {
        if self.touched(at).any(Page::is_pinned) {
            Err(SpaceError::Pinned)
        } else {
            Ok(())
        }
    }

    /// The last page that is there before `page`, and the first behind it.
    fn neighbours(&self, page: usize) -> [Option<(usize, Page)>; 2] {
        let below = self.model.range(..page).next_back();
        let above = self.model.range(page + 1..).next();
        [below, above].map(|found| found.map(|(at, page)| (*at, *page)))
    }

    /// The pages that are added if the hole at `page` is touched, and what they are like.
    fn growth(&self, page: usize) -> Option<(Extent, Page)> {
        if self.model.contains_key(&page) {
            return None;
        }
        let [below, above] = self.neighbours(page);
        let down = above.filter(|(_, above)| {
            let guarded = below.map_or(0, |(at, _)| at + 1 + GUARD_PAGES);
            above.flags.contains(RegionFlags::GROW_DOWN)
                && page >= guarded
                && above.limit.is_none_or(|limit| page >= limit)
        });
        let up = below.filter(|(_, below)| {
            let neighbour = above.map_or(PAGES, |(at, _)| at);
            below.flags.contains(RegionFlags::GROW_UP)
                && page + 1 + GUARD_PAGES <= neighbour
                && below.limit.is_none_or(|limit| page < limit)
        });
        let down = down.map(|(at, like)| {
            let len_pages = at - page;
            (Extent { page, len_pages }, like)
        });
        let up = up.map(|(at, like)| {
            let (page, len_pages) = (at + 1, page - at);
            (Extent { page, len_pages }, like)
        });
        match (down, up) {
            (Some(down), Some(up)) if up.0.len_pages < down.0.len_pages => Some(up),
            (down, up) => down.or(up),
        }
    }

    /// Whether a new region may be put over this page.
    fn is_free(&self, page: usize) -> bool {
        let [below, above] = self.neighbours(page);
        let is_below_from_it = below.is_none_or(|(at, below)| {
            let end = below.limit.map_or(at + 1, |limit| limit.max(at + 1));
            !below.flags.contains(RegionFlags::GROW_UP) || page >= end + GUARD_PAGES
        });
        let is_above_from_it = above.is_none_or(|(at, above)| {
            let start = above.limit.map_or(at, |limit| limit.min(at));
            !above.flags.contains(RegionFlags::GROW_DOWN) || page + GUARD_PAGES < start
        });
        page < PAGES && !self.model.contains_key(&page) && is_below_from_it && is_above_from_it
    }

    /// REGION-1 and REGION-2, and each page is what it should be.
    fn check(&self) {
        let mut expected = Vec::<(usize, usize)>::new();
        for (&page, here) in &self.model {
            let [before, _] = self.neighbours(page);
            let is_same_region =
                before.is_some_and(|(at, before)| at + 1 == page && before.is_followed_by(here));
            match expected.last_mut() {
                Some((_, len_pages)) if is_same_region => *len_pages += 1,
                _ => expected.push((page, 1)),
            }
        }
        let mut found = extents(&self.map);
        assert_eq!(found.pop().map(|(page, _)| page), Some(PAGES));
        assert_eq!(found, expected, "REGION-1 and REGION-2");
        for page in 0..PAGES {
            let region = self.map.find(address(page));
            let found = region.map(|region| self.page_in(region, page));
            assert_eq!(found, self.model.get(&page).copied(), "page {page}");
        }
    }

    fn page_in(&self, region: &Region, page: usize) -> Page {
        let content = match region.content_at(address(page)) {
            // Which page of a file it would be, if it were from the file, cannot be seen.
            PageContent::Zero if !region.backing.is_anonymous() => self.model[&page].content,
            PageContent::Zero => Content::Zero,
            PageContent::File {
                source,
                index,
                len_bytes,
                sharing,
            } => {
                assert_eq!(len_bytes, PAGE_SIZE);
                let is_it = |file: &Arc<dyn PageSource>| Arc::ptr_eq(file, source);
                Content::File {
                    file: self.files.iter().position(is_it).unwrap(),
                    page: index as usize,
                    sharing,
                    is_from_file: true,
                }
            }
            PageContent::Physical { memory, offset } => {
                Content::Physical((memory.start().as_usize() + offset as usize) / PAGE_SIZE)
            }
        };
        Page {
            protection: region.protection,
            flags: region.flags,
            limit: region.growth_limit.map(page_of),
            content,
        }
    }
}

/// What [`Region::check`] has to say.
fn refusal(at: Extent, new: &NewRegion) -> Result<(), SpaceError> {
    let is_physical = matches!(new.source, Source::Physical { .. });
    if is_physical && !new.protection.contains(Protection::KERNEL) {
        return Err(SpaceError::KernelOnly);
    }
    let [down, up] =
        [RegionFlags::GROW_DOWN, RegionFlags::GROW_UP].map(|growth| new.flags.contains(growth));
    let is_anonymous = matches!(new.source, Source::Anonymous);
    let is_limit_inside = new
        .limit
        .is_some_and(|limit| down && limit > at.page || up && limit < at.page + at.len_pages);
    if down && up || (down || up) && !is_anonymous || is_limit_inside {
        return Err(SpaceError::NotGrowable);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_sequence_leaves_what_a_map_from_pages_would(
        operations in prop::collection::vec(operation(), 1..100)
    ) {
        let mut checked = Checked::new();
        for operation in operations {
            // REGION-3: after an error, nothing has changed in the model either.
            checked.run(operation);
            checked.check();
        }
    }
}
