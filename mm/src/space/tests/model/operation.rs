//! What can be done in a step.

use proptest::prelude::{Strategy, prop, prop_oneof};

use super::{BIG_CUTS, BIG_PROBES, ELSEWHERE, FILE_PAGES, FIRST, PAGES, SHARED_PAGES};
use crate::space::{ForkPolicy, Protection};

/// Some pages of a space.
#[derive(Copy, Clone, Debug)]
pub(super) enum Place {
    /// So many from this one on.
    At(usize, usize),
    /// The first so many of what `add_anywhere` has added last.
    Elsewhere(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Add(Place, Protection, bool),
    /// A region that grows down.
    AddStack(Place, Protection),
    /// A region of one or two big pages, by number.
    AddBig {
        first: usize,
        len: usize,
        protection: Protection,
    },
    AddAnywhere(usize, Protection),
    /// A private region that shows the file from a page on.
    AddFile(Place, Protection, bool, usize),
    /// A region that shows the shared memory from a page on.
    AddShared(Place, Protection, bool, usize),
    PageAlloc(Place),
    PageFree(Place),
    Remove(Place),
    Protect(Place, Protection),
    SetPinned(Place, bool),
    ProtectAndPin(Place, Protection, bool),
    MoveFrames(Place),
    Load(Place),
    /// To each of the pages.
    Store(Place, u64),
    Fork(ForkPolicy),
    Drop,
    Destroy,
}

fn small_place() -> impl Strategy<Value = Place> {
    (FIRST..FIRST + PAGES, 1..6_usize).prop_map(|(start, len)| Place::At(start, len))
}

fn place() -> impl Strategy<Value = Place> {
    let cuts = (0..BIG_CUTS.len() - 1, 1..BIG_CUTS.len());
    prop_oneof![
        24 => small_place(),
        2 => (FIRST..FIRST + 4, PAGES / 2..PAGES).prop_map(|(start, len)| Place::At(start, len)),
        2 => (1..=ELSEWHERE).prop_map(Place::Elsewhere),
        1 => cuts.prop_map(|(from, len)| {
            let to = (from + len).min(BIG_CUTS.len() - 1);
            Place::At(BIG_CUTS[from], BIG_CUTS[to] - BIG_CUTS[from])
        }),
    ]
}

/// Pages to touch.
fn touched() -> impl Strategy<Value = Place> {
    prop_oneof![
        8 => place(),
        1 => prop::sample::select(&BIG_PROBES[..]).prop_map(|page| Place::At(page, 1)),
    ]
}

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![
        4 => prop::strategy::Just(Protection::WRITE),
        2 => prop::strategy::Just(Protection::empty()),
        1 => prop::strategy::Just(Protection::WRITE | Protection::EXECUTE),
        1 => prop::strategy::Just(Protection::EXECUTE),
    ]
}

/// What a region may be changed to: from [`Protection::KERNEL`] there is no way back.
fn changed_protection() -> impl Strategy<Value = Protection> {
    prop_oneof![
        20 => protection(),
        1 => prop::strategy::Just(Protection::KERNEL | Protection::WRITE),
    ]
}

fn policy() -> impl Strategy<Value = ForkPolicy> {
    prop_oneof![
        5 => prop::strategy::Just(ForkPolicy::Shared),
        1 => prop::strategy::Just(ForkPolicy::Naive),
        1 => prop::strategy::Just(ForkPolicy::Eager),
        1 => prop::strategy::Just(ForkPolicy::CopyOnWrite),
    ]
}

fn adding() -> impl Strategy<Value = Operation> {
    use Operation::{Add, AddAnywhere, AddBig, AddFile, AddShared, AddStack, PageAlloc};
    let yes_or_no = || prop::bool::ANY;
    prop_oneof![
        3 => (place(), protection(), yes_or_no()).prop_map(|(place, p, eager)| Add(place, p, eager)),
        2 => (small_place(), protection()).prop_map(|(place, p)| AddStack(place, p)),
        1 => (0..2_usize, 1..3_usize, protection()).prop_map(|(first, len, protection)| {
            AddBig { first, len: len.min(2 - first), protection }
        }),
        1 => (ELSEWHERE..6, protection()).prop_map(|(len, p)| AddAnywhere(len, p)),
        2 => (place(), protection(), yes_or_no(), 0..FILE_PAGES)
            .prop_map(|(place, p, eager, first)| AddFile(place, p, eager, first)),
        2 => (place(), protection(), yes_or_no(), 0..SHARED_PAGES)
            .prop_map(|(place, p, eager, first)| AddShared(place, p, eager, first)),
        2 => place().prop_map(PageAlloc),
    ]
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    use Operation::{
        Destroy, Drop, Fork, Load, MoveFrames, PageFree, Protect, ProtectAndPin, Remove, SetPinned,
        Store,
    };
    prop_oneof![
        14 => adding(),
        1 => place().prop_map(PageFree),
        5 => place().prop_map(Remove),
        5 => (place(), changed_protection()).prop_map(|(place, p)| Protect(place, p)),
        // Mostly unpinned: what is pinned stops much else.
        2 => (place(), prop::bool::weighted(0.2)).prop_map(|(place, pinned)| SetPinned(place, pinned)),
        1 => (place(), protection(), prop::bool::weighted(0.2))
            .prop_map(|(place, p, pinned)| ProtectAndPin(place, p, pinned)),
        3 => place().prop_map(MoveFrames),
        6 => touched().prop_map(Load),
        14 => (touched(), 1..1000_u64).prop_map(|(place, value)| Store(place, value)),
        5 => policy().prop_map(Fork),
        3 => prop::strategy::Just(Drop),
        1 => prop::strategy::Just(Destroy),
    ]
}
