//! Random changes against a plain map from page to what is mapped there.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{TestSpace, frames_in_use, new_frame, page};
use crate::addr::{PAGE_SIZE, PhysAddr, USER_END};
use crate::error::MapError;
use crate::frame::Frame;
use crate::hw::host::machine;
use crate::page_table::{ENTRIES, Perm, PtIterMut, VmIterMut};

/// Where big pages go: no memory of the test machine, since nobody looks at it.
const BIG_PAGES: u64 = 0x4000_0000;

#[derive(Clone, Debug)]
enum Step {
    Map { page: u64, frame: usize, perm: Perm },
    Fill { page: u64, frame: usize, perm: Perm },
    MapBig { page: u64, perm: Perm },
    Unmap { page: u64 },
    Protect { page: u64, perm: Perm },
    Split { page: u64 },
    RemoveEmptyTables,
}

/// Pages on both sides of the borders between tables of levels 1, 2 and 3.
fn any_page() -> impl Strategy<Value = u64> {
    (
        prop_oneof![0..2_u64, 511..514_u64, 1022..1026_u64],
        prop_oneof![Just(0), Just(1 << 18), Just(1 << 27)],
    )
        .prop_map(|(near, far)| near + far)
}

fn any_perm() -> impl Strategy<Value = Perm> {
    any::<[bool; 4]>().prop_map(|[write, user, no_execute, copy_on_write]| {
        let mut perm = Perm::PRESENT;
        perm.set(Perm::WRITE, write);
        perm.set(Perm::USER, user);
        perm.set(Perm::NO_EXECUTE, no_execute);
        perm.set(Perm::COPY_ON_WRITE, copy_on_write);
        perm
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let frame = 0..4_usize;
    prop_oneof![
        4 => (any_page(), frame.clone(), any_perm()).prop_map(|(page, frame, perm)| Step::Map { page, frame, perm }),
        2 => (any_page(), frame, any_perm()).prop_map(|(page, frame, perm)| Step::Fill { page, frame, perm }),
        1 => (any_page(), any_perm()).prop_map(|(page, perm)| Step::MapBig { page, perm }),
        4 => any_page().prop_map(|page| Step::Unmap { page }),
        3 => (any_page(), any_perm()).prop_map(|(page, perm)| Step::Protect { page, perm }),
        1 => any_page().prop_map(|page| Step::Split { page }),
        1 => Just(Step::RemoveEmptyTables),
    ]
}

/// What is mapped at each page, and which pages are part of a big one, by its first page.
#[derive(Default)]
struct Model {
    pages: BTreeMap<u64, (PhysAddr, Perm)>,
    big: BTreeSet<u64>,
}

impl Model {
    /// The pages of the leaf at `page`.
    fn leaf_pages(&self, page: u64) -> Range<u64> {
        let first = first_of_big(page);
        if self.big.contains(&first) {
            first..first + ENTRIES as u64
        } else {
            page..page + 1
        }
    }
}

struct Tester {
    space: TestSpace,
    frames: Vec<Frame>,
    model: Model,
}

fn first_of_big(page: u64) -> u64 {
    page & !(ENTRIES as u64 - 1)
}

/// What the model compares: not what the processor or the iterators note.
fn rights(perm: Perm) -> Perm {
    perm.difference(Perm::ACCESSED | Perm::DIRTY | Perm::HUGE | Perm::BORROWED)
}

impl Tester {
    fn new() -> Tester {
        let frames = (0..4).map(|_| new_frame()).collect();
        Tester {
            space: TestSpace::new(),
            frames,
            model: Model::default(),
        }
    }

    fn take(&mut self, step: &Step) {
        let (table, mut batch) = self.space.change();
        let at = page;
        match *step {
            Step::Map { page, frame, perm } => {
                let frame = self.frames[frame].share();
                let pa = frame.pa();
                VmIterMut::new_mut(table, at(page)).map(frame, perm, &mut batch);
                self.model.big.remove(&first_of_big(page));
                self.model.pages.insert(page, (pa, perm));
            }
            Step::Fill { page, frame, perm } => {
                let frame = self.frames[frame].share();
                let pa = frame.pa();
                let result = VmIterMut::new_mut(table, at(page)).try_fill(frame, perm);
                let is_free = !self.model.pages.contains_key(&page);
                assert_eq!(
                    result,
                    if is_free {
                        Ok(())
                    } else {
                        Err(MapError::AlreadyMapped)
                    }
                );
                self.model.pages.entry(page).or_insert((pa, perm));
            }
            Step::MapBig { page, perm } => {
                let first = first_of_big(page);
                let mut iter = VmIterMut::new_mut(table, at(first));
                // SAFETY: nobody runs in this space.
                let result = unsafe { iter.try_map_borrowed(PhysAddr::new(BIG_PAGES), 2, perm) };
                if result.is_ok() {
                    self.model.big.insert(first);
                    for index in 0..ENTRIES as u64 {
                        let pa = PhysAddr::new(BIG_PAGES + index * PAGE_SIZE as u64);
                        let before = self.model.pages.insert(first + index, (pa, perm));
                        assert_eq!(before, None);
                    }
                }
            }
            Step::Unmap { page } => {
                VmIterMut::new_mut(table, at(page)).unmap(&mut batch);
                for index in self.model.leaf_pages(page) {
                    self.model.pages.remove(&index);
                }
                self.model.big.remove(&first_of_big(page));
            }
            Step::Protect { page, perm } => {
                VmIterMut::new_mut(table, at(page)).protect(perm, &mut batch);
                for index in self.model.leaf_pages(page) {
                    self.model
                        .pages
                        .entry(index)
                        .and_modify(|mapping| mapping.1 = perm);
                }
            }
            Step::Split { page } => {
                VmIterMut::new_mut(table, at(page))
                    .split(&mut batch)
                    .expect("memory");
                self.model.big.remove(&first_of_big(page));
            }
            Step::RemoveEmptyTables => {
                let mut iter = PtIterMut::new_mut(table);
                while iter.active() {
                    iter.remove_if_empty(&mut batch);
                    iter.next();
                }
            }
        }
    }

    fn check(&self) {
        let mut found = BTreeMap::new();
        let mut iter = self.space.at(page(0));
        while iter.find_mapping(USER_END) {
            let pages = (iter.last_va().as_u64() - iter.va().as_u64() + 1) / PAGE_SIZE as u64;
            let first = (iter.va().as_u64() - page(0).as_u64()) / PAGE_SIZE as u64;
            assert_eq!(pages > 1, self.model.big.contains(&first));
            let start = iter.pa().expect("mapped").as_u64();
            for index in 0..pages {
                let pa = PhysAddr::new(start + index * PAGE_SIZE as u64);
                found.insert(first + index, (pa, rights(iter.perm())));
            }
            iter.next();
        }
        assert_eq!(found, self.model.pages);
        for frame in &self.frames {
            let mapped = self
                .model
                .pages
                .values()
                .filter(|mapping| mapping.0 == frame.pa())
                .count();
            assert_eq!(frame.references() as usize, mapped + 1);
        }
    }
}

proptest! {
    #[test]
    fn random_changes_agree_with_a_plain_map(steps in proptest::collection::vec(any_step(), 1..60)) {
        let _machine = machine();
        let before = frames_in_use();
        let mut tester = Tester::new();
        for step in &steps {
            tester.take(step);
            tester.check();
        }
        drop(tester);
        assert_eq!(frames_in_use(), before);
    }
}
