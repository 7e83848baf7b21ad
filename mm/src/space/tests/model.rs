//! Random sequences of operations against a plain model: for each space, a map from page to rights and value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, Strategy, prop, prop_oneof, proptest};

use super::files::CountingFile;
use super::{LAZY, frames_in_use, load, range, store};
use crate::addr::PAGE_SIZE;
use crate::error::SpaceError;
use crate::hw::host::machine;
use crate::space::{FileBacking, ForkPolicy, Protection, Region, RegionFlags, Space};
use crate::user::BadUserAddress;

/// Pages lie on both sides of the end of a page table.
const FIRST: usize = 504;
const PAGES: usize = 16;
const MOST_SPACES: usize = 4;
const FILE_PAGES: usize = 3;
const POLICIES: [ForkPolicy; 4] = [
    ForkPolicy::Shared,
    ForkPolicy::Naive,
    ForkPolicy::Eager,
    ForkPolicy::CopyOnWrite,
];

#[derive(Clone, Debug)]
enum Operation {
    Add {
        page: usize,
        len_pages: usize,
        is_writable: bool,
        is_eager: bool,
    },
    AddFile {
        page: usize,
        len_pages: usize,
        first: usize,
        is_writable: bool,
        is_eager: bool,
    },
    PageAlloc {
        page: usize,
        len_pages: usize,
    },
    Remove {
        page: usize,
        len_pages: usize,
    },
    Load {
        page: usize,
    },
    Store {
        page: usize,
        value: u64,
    },
    Fork {
        policy: ForkPolicy,
    },
    Drop,
    Destroy,
}

fn operation() -> impl Strategy<Value = Operation> {
    let extent = || (FIRST..FIRST + PAGES, 1..5_usize);
    prop_oneof![
        2 => (extent(), prop::bool::ANY, prop::bool::ANY).prop_map(|((page, len_pages), is_writable, is_eager)| {
            Operation::Add { page, len_pages, is_writable, is_eager }
        }),
        2 => (extent(), 0..FILE_PAGES, prop::bool::ANY, prop::bool::ANY).prop_map(
            |((page, len_pages), first, is_writable, is_eager)| {
                Operation::AddFile { page, len_pages, first, is_writable, is_eager }
            }
        ),
        2 => extent().prop_map(|(page, len_pages)| Operation::PageAlloc { page, len_pages }),
        2 => extent().prop_map(|(page, len_pages)| Operation::Remove { page, len_pages }),
        4 => (FIRST..FIRST + PAGES).prop_map(|page| Operation::Load { page }),
        8 => (FIRST..FIRST + PAGES, 1..1000_u64).prop_map(|(page, value)| Operation::Store { page, value }),
        2 => prop::sample::select(&POLICIES[..]).prop_map(|policy| Operation::Fork { policy }),
        1 => prop::strategy::Just(Operation::Drop),
        1 => prop::strategy::Just(Operation::Destroy),
    ]
}

/// What the model knows of a page.
#[derive(Copy, Clone, Debug)]
struct Page {
    value: u64,
    is_writable: bool,
    is_page_alloc: bool,
}

/// A space and its model.
struct Modelled {
    space: Arc<Space>,
    pages: BTreeMap<usize, Page>,
    is_destroyed: bool,
}

impl Modelled {
    fn new() -> Modelled {
        Modelled {
            space: Space::new().unwrap(),
            pages: BTreeMap::new(),
            is_destroyed: false,
        }
    }

    fn add(
        &mut self,
        region: Region,
        page: usize,
        len_pages: usize,
        value_of: impl Fn(usize) -> u64,
    ) {
        let is_writable = region.protection.contains(Protection::WRITE);
        let is_free = (page..page + len_pages).all(|page| !self.pages.contains_key(&page));
        let expected = match () {
            () if self.is_destroyed => Err(SpaceError::NotMapped),
            () if !is_free => Err(SpaceError::Overlap),
            () => Ok(()),
        };
        assert_eq!(self.space.add(region), expected);
        if expected.is_ok() {
            let page_with = |at: usize| Page {
                value: value_of(at - page),
                is_writable,
                is_page_alloc: false,
            };
            self.pages
                .extend((page..page + len_pages).map(|at| (at, page_with(at))));
        }
    }

    fn page_alloc(&mut self, page: usize, len_pages: usize) {
        let touched = || self.pages.range(page..page + len_pages);
        let expected = match () {
            () if self.is_destroyed => Err(SpaceError::NotMapped),
            () if touched().any(|(_, page)| !page.is_page_alloc) => Err(SpaceError::Overlap),
            () => Ok(()),
        };
        assert_eq!(self.space.page_alloc(range(page, len_pages)), expected);
        if expected.is_ok() {
            let fresh = Page {
                value: 0,
                is_writable: true,
                is_page_alloc: true,
            };
            self.pages
                .extend((page..page + len_pages).map(|at| (at, fresh)));
        }
    }

    fn check(&self) {
        for page in FIRST - 1..FIRST + PAGES + 5 {
            let expected = self
                .pages
                .get(&page)
                .map(|page| page.value)
                .ok_or(BadUserAddress);
            assert_eq!(load(&self.space, page), expected, "page {page}");
        }
    }
}

fn flags(is_eager: bool) -> RegionFlags {
    if is_eager { RegionFlags::EAGER } else { LAZY }
}

fn protection(is_writable: bool) -> Protection {
    if is_writable {
        Protection::WRITE
    } else {
        Protection::empty()
    }
}

/// Lets the last of `spaces` do `operation`.
fn apply(spaces: &mut Vec<Modelled>, file: &Arc<CountingFile>, operation: &Operation) {
    let len_spaces = spaces.len();
    let Some(current) = spaces.last_mut() else {
        return;
    };
    match *operation {
        Operation::Add {
            page,
            len_pages,
            is_writable,
            is_eager,
        } => {
            let region = Region::anonymous(
                range(page, len_pages),
                protection(is_writable),
                flags(is_eager),
            );
            current.add(region, page, len_pages, |_| 0);
        }
        Operation::AddFile {
            page,
            len_pages,
            first,
            is_writable,
            is_eager,
        } => {
            let backing =
                FileBacking::new(file.clone(), (first * PAGE_SIZE) as u64, u64::MAX).unwrap();
            let region = Region::file(range(page, len_pages), protection(is_writable), backing)
                .with_flags(flags(is_eager));
            let value_of = |at: usize| {
                if first + at < FILE_PAGES {
                    1000 + 512 * (first + at) as u64
                } else {
                    0
                }
            };
            current.add(region, page, len_pages, value_of);
        }
        Operation::PageAlloc { page, len_pages } => current.page_alloc(page, len_pages),
        Operation::Remove { page, len_pages } => {
            current.space.remove(range(page, len_pages)).unwrap();
            current
                .pages
                .retain(|at, _| !(page..page + len_pages).contains(at));
        }
        Operation::Load { page } => {
            let expected = current
                .pages
                .get(&page)
                .map(|page| page.value)
                .ok_or(BadUserAddress);
            assert_eq!(load(&current.space, page), expected);
        }
        Operation::Store { page, value } => {
            let result = store(&current.space, page, value);
            match current.pages.get_mut(&page).filter(|page| page.is_writable) {
                Some(page) => {
                    assert_eq!(result, Ok(()));
                    page.value = value;
                }
                None => assert_eq!(result, Err(BadUserAddress)),
            }
        }
        Operation::Fork { policy } if len_spaces < MOST_SPACES => {
            let space = current.space.fork(policy).unwrap();
            let child = Modelled {
                space,
                pages: current.pages.clone(),
                is_destroyed: false,
            };
            spaces.push(child);
        }
        Operation::Destroy => {
            current.space.destroy();
            current.pages.clear();
            current.is_destroyed = true;
        }
        Operation::Drop | Operation::Fork { .. } if len_spaces > 1 => drop(spaces.pop()),
        Operation::Drop | Operation::Fork { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_what_a_map_from_pages_to_values_would(
        operations in prop::collection::vec((0..MOST_SPACES, operation()), 1..80)
    ) {
        let _machine = machine();
        let before = frames_in_use();
        {
            let file = CountingFile::new(FILE_PAGES * PAGE_SIZE);
            let mut spaces = vec![Modelled::new()];
            for (turn, operation) in &operations {
                let len_spaces = spaces.len();
                spaces.rotate_left(turn % len_spaces);
                apply(&mut spaces, &file, operation);
            }
            spaces.iter().for_each(Modelled::check);
        }
        assert_eq!(frames_in_use(), before, "frames of user memory, files and page tables");
    }
}
