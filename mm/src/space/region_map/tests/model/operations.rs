//! What may happen to a region map, at random.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

use super::PAGES;
use crate::addr::UserRange;
use crate::space::file_backing::Sharing;
use crate::space::protection::Protection;
use crate::space::region::RegionFlags;
use crate::space::tests::range;

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Insert(Extent, NewRegion),
    Replace(Extent, Protection),
    Remove(Extent),
    Protect(Extent, Protection),
    SetPinned(Extent, bool),
    CheckMovable(Extent),
    GrowTo(usize),
    FindFree {
        len_pages: usize,
        align_pages: usize,
    },
}

/// Never empty, and below [`PAGES`].
#[derive(Copy, Clone, Debug)]
pub(super) struct Extent {
    pub(super) page: usize,
    pub(super) len_pages: usize,
}

#[derive(Clone, Debug)]
pub(super) struct NewRegion {
    pub(super) protection: Protection,
    pub(super) flags: RegionFlags,
    pub(super) limit: Option<usize>,
    pub(super) source: Source,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Source {
    Anonymous,
    /// From the page `first` of a file on, `len_pages` of them.
    File {
        file: usize,
        first: usize,
        len_pages: usize,
        sharing: Sharing,
    },
    /// From the page `first` of physical memory on.
    Physical {
        first: usize,
    },
}

impl NewRegion {
    /// The same, but what is shown begins by so much farther as the region does: neighbours often continue each other.
    fn at(mut self, at: Extent) -> NewRegion {
        if let Source::File { first, .. } | Source::Physical { first } = &mut self.source {
            *first += at.page;
        }
        self
    }
}

impl Extent {
    pub(super) fn pages(self) -> impl Iterator<Item = usize> {
        self.page..self.page + self.len_pages
    }

    pub(super) fn range(self) -> UserRange {
        range(self.page, self.len_pages)
    }
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (extent(), new_region()).prop_map(|(at, new)| Operation::Insert(at, new.at(at))),
        1 => (extent(), protection()).prop_map(|(at, rights)| Operation::Replace(at, rights)),
        3 => extent().prop_map(Operation::Remove),
        3 => (extent(), protection()).prop_map(|(at, rights)| Operation::Protect(at, rights)),
        2 => (extent(), any::<bool>()).prop_map(|(at, pinned)| Operation::SetPinned(at, pinned)),
        1 => extent().prop_map(Operation::CheckMovable),
        3 => (0..PAGES).prop_map(Operation::GrowTo),
        1 => (1..12_usize, 0..5_u32).prop_map(|(len_pages, align)| Operation::FindFree {
            len_pages,
            align_pages: 1 << align,
        }),
    ]
}

fn extent() -> impl Strategy<Value = Extent> {
    (0..PAGES, 1..9_usize).prop_map(|(page, len_pages)| Extent {
        page,
        len_pages: len_pages.min(PAGES - page),
    })
}

/// Few, so that neighbours are often alike.
fn protection() -> impl Strategy<Value = Protection> {
    let kernel = Protection::KERNEL;
    prop_oneof![
        3 => Just(kernel),
        3 => Just(kernel | Protection::WRITE),
        1 => Just(Protection::empty()),
    ]
}

fn new_region() -> impl Strategy<Value = NewRegion> {
    let source = prop_oneof![
        6 => Just(Source::Anonymous),
        3 => (0..2_usize, 0..2_usize, 0..9_usize).prop_map(|(file, first, len_pages)| {
            Source::File { file, first, len_pages, sharing: Sharing::Private }
        }),
        1 => (0..2_usize, 0..2_usize).prop_map(|(file, first)| {
            Source::File { file, first, len_pages: usize::MAX, sharing: Sharing::Shared }
        }),
        1 => (0..2_usize).prop_map(|first| Source::Physical { first }),
    ];
    let growth = prop_oneof![
        6 => Just(RegionFlags::empty()),
        3 => Just(RegionFlags::GROW_DOWN),
        3 => Just(RegionFlags::GROW_UP),
        1 => Just(RegionFlags::GROW_DOWN | RegionFlags::GROW_UP),
    ];
    let others = prop_oneof![
        4 => Just(RegionFlags::empty()),
        1 => Just(RegionFlags::PINNED),
        1 => Just(RegionFlags::EAGER),
    ];
    // Half of them on the wrong side.
    let limit = prop::option::weighted(0.3, 0..PAGES);
    (protection(), source, growth, others, limit).prop_map(
        |(protection, source, growth, others, limit)| NewRegion {
            protection,
            flags: growth | others,
            limit: limit.filter(|_| !growth.is_empty()),
            source,
        },
    )
}
