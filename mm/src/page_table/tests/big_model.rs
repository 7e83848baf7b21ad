//! Random changes of two spaces that share big pages, against plain arrays of what is mapped where.

use std::vec::Vec;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use super::{TestSpace, frames_in_use, new_frame, page};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::frame::{self, FrameKind, FrameState};
use crate::hw::host::machine;
use crate::page_table::{ENTRIES, Perm, VmIterMut};

/// How many big pages have room in each space.
const PLACES: usize = 2;
const SPACES: usize = 2;
/// The pages of a place that are changed by themselves.
const INDICES: [usize; 4] = [0, 1, 300, ENTRIES - 1];
/// How many frames the holes in the machine's memory have at most.
const MOST_HOLES: usize = 0x4000;
const READ: Perm = Perm::USER_READ.union(Perm::COPY_ON_WRITE);
const WRITE: Perm = Perm::USER_WRITE;

/// A page in one of the spaces.
#[derive(Copy, Clone, Debug)]
struct At {
    space: usize,
    place: usize,
    index: usize,
}

#[derive(Clone, Debug)]
enum Step {
    MapBig(At, Perm),
    MapFrame(At, Perm),
    Split(At),
    Unmap(At),
    Protect(At, Perm),
    /// All pages of a place.
    ProtectAll(At, Perm),
    /// Maps the same in the other space.
    Share(At),
    /// As much of a place as the other space has room for.
    ShareAll(At),
    UnmapAll(At),
    Merge(At),
}

fn any_at() -> impl Strategy<Value = At> {
    (
        0..SPACES,
        prop_oneof![4 => Just(0), 1 => 1..PLACES],
        select(&INDICES[..]),
    )
        .prop_map(|(space, place, index)| At {
            space,
            place,
            index,
        })
}

fn any_step() -> impl Strategy<Value = Step> {
    let perm = || any::<bool>().prop_map(|is_writable| if is_writable { WRITE } else { READ });
    prop_oneof![
        6 => (any_at(), perm()).prop_map(|(at, perm)| Step::MapBig(at, perm)),
        1 => (any_at(), perm()).prop_map(|(at, perm)| Step::MapFrame(at, perm)),
        4 => any_at().prop_map(Step::Split),
        1 => any_at().prop_map(Step::Unmap),
        1 => (any_at(), perm()).prop_map(|(at, perm)| Step::Protect(at, perm)),
        2 => (any_at(), perm()).prop_map(|(at, perm)| Step::ProtectAll(at, perm)),
        1 => any_at().prop_map(Step::Share),
        2 => any_at().prop_map(Step::ShareAll),
        2 => any_at().prop_map(Step::UnmapAll),
        8 => any_at().prop_map(Step::Merge),
    ]
}

/// What is mapped where one big page has room.
#[derive(Clone)]
struct Place {
    pages: Vec<Option<(PhysAddr, Perm)>>,
    is_big: bool,
}

impl Place {
    fn new() -> Place {
        Place {
            pages: vec![None; ENTRIES],
            is_big: false,
        }
    }

    /// The pages of the leaf that page `index` is in.
    fn leaf(&mut self, index: usize) -> &mut [Option<(PhysAddr, Perm)>] {
        if self.is_big {
            &mut self.pages
        } else {
            &mut self.pages[index..=index]
        }
    }

    fn set_big(&mut self, pa: PhysAddr, perm: Perm) {
        self.is_big = true;
        for (index, mapped) in self.pages.iter_mut().enumerate() {
            *mapped = Some((nth(pa, index), perm));
        }
    }
}

fn nth(pa: PhysAddr, index: usize) -> PhysAddr {
    PhysAddr::new(pa.as_u64() + (index * PAGE_SIZE) as u64)
}

struct Tester {
    spaces: [TestSpace; SPACES],
    model: [[Place; PLACES]; SPACES],
}

impl Tester {
    fn new() -> Tester {
        Tester {
            spaces: core::array::from_fn(|_| TestSpace::new()),
            model: core::array::from_fn(|_| core::array::from_fn(|_| Place::new())),
        }
    }

    fn place(&mut self, at: At) -> &mut Place {
        &mut self.model[at.space][at.place]
    }

    fn is_free(&mut self, at: At) -> bool {
        self.place(at).pages.iter().all(Option::is_none)
    }

    fn on<R>(&mut self, at: At, change: impl FnOnce(&mut VmIterMut<'_>, Batch<'_, '_>) -> R) -> R {
        let (table, mut batch) = self.spaces[at.space].change();
        change(&mut VmIterMut::new_mut(table, va(at)), &mut batch)
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::MapBig(at, perm) => self.map_big(first(at), perm),
            Step::MapFrame(at, perm) => {
                let frame = new_frame();
                let pa = frame.pa();
                self.on(at, |iter, batch| iter.map(frame, perm, batch));
                let place = self.place(at);
                place.is_big = false;
                place.pages[at.index] = Some((pa, perm));
            }
            Step::Split(at) => {
                self.on(at, |iter, batch| iter.split(batch))
                    .expect("memory");
                self.place(at).is_big = false;
            }
            Step::Unmap(at) => self.unmap(at),
            Step::UnmapAll(at) => {
                self.unmap(first(at));
                indices(at).for_each(|at| self.unmap(at));
            }
            Step::Protect(at, perm) => self.protect(at, perm),
            Step::ProtectAll(at, perm) => indices(at).for_each(|at| self.protect(at, perm)),
            Step::Share(at) => self.share(at),
            Step::ShareAll(at) => indices(at).for_each(|at| self.share(at)),
            Step::Merge(at) => self.merge(at),
        }
    }

    fn map_big(&mut self, at: At, perm: Perm) {
        let big = frame::alloc_big(9, FrameKind::Anonymous).expect("a block");
        let pa = big.pa();
        let result = self.on(at, |iter, batch| iter.try_map_big(big, perm, batch));
        assert_eq!(result.is_ok(), self.is_free(at), "{result:?}");
        if result.is_ok() {
            self.place(at).set_big(pa, perm);
        }
    }

    fn unmap(&mut self, at: At) {
        self.on(at, |iter, batch| iter.unmap(batch));
        let place = self.place(at);
        place.leaf(at.index).fill(None);
        place.is_big = false;
    }

    fn protect(&mut self, at: At, perm: Perm) {
        self.on(at, |iter, batch| iter.protect(perm, batch));
        let leaf = self.place(at).leaf(at.index);
        leaf.iter_mut().flatten().for_each(|mapped| mapped.1 = perm);
    }

    fn share(&mut self, at: At) {
        let to = At {
            space: 1 - at.space,
            ..at
        };
        let iter = self.spaces[at.space].at(va(at));
        let (big, frame) = (iter.share_big(), iter.share_frame());
        assert!(big.is_none() || frame.is_none());
        if let Some((big, perm)) = big {
            let pa = big.pa();
            let result = self.on(first(to), |iter, batch| iter.try_map_big(big, perm, batch));
            assert_eq!(result.is_ok(), self.is_free(to), "{result:?}");
            if result.is_ok() {
                self.place(to).set_big(pa, rights(perm));
            }
        } else if let Some(frame) = frame {
            let mapped = self.place(at).pages[at.index];
            let result = self.on(to, |iter, _| {
                iter.try_fill(frame, mapped.expect("mapped").1)
            });
            assert_eq!(
                result.is_ok(),
                self.place(to).pages[to.index].is_none(),
                "{result:?}"
            );
            if result.is_ok() {
                self.place(to).pages[to.index] = mapped;
            }
        }
    }

    fn merge(&mut self, at: At) {
        let references = self.references();
        let place = self.place(at);
        let can_merge = place.pages[0].is_some_and(|(pa, perm)| {
            let is_next = |index: usize| place.pages[index] == Some((nth(pa, index), perm));
            let is_sole = |index: usize| references[number_of(nth(pa, index))] == 1;
            let is_aligned = pa.as_usize().is_multiple_of(ENTRIES * PAGE_SIZE);
            is_aligned && (0..ENTRIES).all(|index| is_next(index) && is_sole(index))
        });
        let expected = can_merge && !place.is_big;
        place.is_big |= expected;
        let merged = self.on(at, |iter, batch| iter.try_merge(batch));
        assert_eq!(merged, expected);
    }

    /// How often each frame of the machine is mapped.
    fn references(&self) -> Vec<u32> {
        let mut references = vec![0; frame::accounts().total + MOST_HOLES];
        let mapped = self.model.iter().flatten().flat_map(|place| &place.pages);
        mapped
            .flatten()
            .for_each(|(pa, _)| references[number_of(*pa)] += 1);
        references
    }

    fn check(&self, anonymous_before: usize) {
        let references = self.references();
        let used = references.iter().filter(|count| **count > 0).count();
        assert_eq!(frames_in_use().0, anonymous_before + used);
        for (space, places) in self.spaces.iter().zip(&self.model) {
            for (number, place) in places.iter().enumerate() {
                let mut iter = space.at(page((number * ENTRIES) as u64));
                for mapped in &place.pages {
                    let found = iter.pa().map(|pa| (pa, rights(iter.perm())));
                    assert_eq!(found, *mapped);
                    assert_eq!(iter.present() && iter.level() == 2, place.is_big);
                    iter.next_page();
                }
                let some = INDICES.into_iter().filter_map(|index| place.pages[index]);
                for (pa, _) in some {
                    let state = frame::state_of(pa).expect("memory").state;
                    let FrameState::InUse {
                        references: found, ..
                    } = state
                    else {
                        panic!("{pa} is {state:?}")
                    };
                    assert_eq!(found, references[number_of(pa)], "{pa}");
                }
            }
        }
    }
}

fn number_of(pa: PhysAddr) -> usize {
    pa.as_usize() / PAGE_SIZE
}

type Batch<'b, 'a> = &'b mut crate::flush::FlushBatch<'a>;

fn va(at: At) -> crate::addr::VirtAddr {
    page((at.place * ENTRIES + at.index) as u64)
}

fn first(at: At) -> At {
    At { index: 0, ..at }
}

fn indices(at: At) -> impl Iterator<Item = At> {
    (0..ENTRIES).map(move |index| At { index, ..at })
}

fn rights(perm: Perm) -> Perm {
    perm.difference(Perm::ACCESSED | Perm::DIRTY | Perm::HUGE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn spaces_that_share_big_pages_agree_with_plain_arrays(
        steps in proptest::collection::vec(any_step(), 1..60),
    ) {
        let _machine = machine();
        let before = frames_in_use();
        let mut tester = Tester::new();
        for step in &steps {
            tester.take(step);
            tester.check(before.0);
        }
        drop(tester);
        assert_eq!(frames_in_use(), before);
    }
}
