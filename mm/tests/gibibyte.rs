//! Pages of 1 GiB that own their memory, on a machine that has as much.

use mm::addr::{PAGE_SIZE, PhysAddr, USER_START, VirtAddr};
use mm::flush::{ActiveCpus, FlushBatch, SpaceId};
use mm::frame::{
    self, BigFrame, FrameAccounts, FrameKind, FrameState, MAX_ORDER, MemoryRange, accounts,
    drain_own_cache, state_of,
};
use mm::hw::host::{Machine, machine_with};
use mm::page_table::{ENTRIES, PageTable, Perm, VmIter, VmIterMut};

/// The first GiB has the frame table; the other two are whole.
const MEMORY: [MemoryRange; 2] = [
    MemoryRange::new(0, 0x9_fc00),
    MemoryRange::new(0x10_0000, 3 << 30),
];
const DATA: Perm = Perm::USER_WRITE.union(Perm::NO_EXECUTE);
/// Pages of 4 KiB in one of 2 MiB.
const LARGE: usize = ENTRIES;
/// Pages of 4 KiB in one of 1 GiB.
const HUGE: usize = ENTRIES * ENTRIES;

fn drained() -> (Machine, FrameAccounts) {
    let machine = machine_with(&MEMORY);
    drain_own_cache();
    (machine, accounts())
}

struct Space {
    active: ActiveCpus,
    table: Option<PageTable>,
}

impl Space {
    /// A space that maps `huge` at its start.
    fn new(huge: BigFrame) -> Space {
        let id = SpaceId::fresh();
        let mut space = Space {
            active: ActiveCpus::new(id),
            table: PageTable::new(id).ok(),
        };
        let result = space.change(0, |iter, batch| iter.try_map_big(huge, DATA, batch));
        assert_eq!(result, Ok(()));
        space
    }

    /// Changes what is mapped at page `index`.
    fn change<R>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut VmIterMut<'_>, &mut FlushBatch<'_>) -> R,
    ) -> R {
        let mut batch = FlushBatch::new(&self.active);
        let table = self.table.as_mut().expect("memory");
        change(&mut VmIterMut::new_mut(table, page(index)), &mut batch)
    }

    fn at(&self, index: usize) -> VmIter<'_> {
        VmIter::new(self.table.as_ref().expect("memory"), page(index))
    }

    /// The levels at the start, the middle and the end of the GiB.
    fn levels(&self) -> [u32; 3] {
        [0, HUGE / 2, HUGE - 1].map(|index| self.at(index).level())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.retire(&mut FlushBatch::new(&self.active));
        }
    }
}

fn page(index: usize) -> VirtAddr {
    VirtAddr::new(USER_START.as_u64() + (index * PAGE_SIZE) as u64)
}

fn new_huge() -> BigFrame {
    frame::alloc_big(MAX_ORDER, FrameKind::Anonymous).expect("a GiB")
}

fn nth(pa: PhysAddr, index: usize) -> Option<PhysAddr> {
    pa.checked_add((index * PAGE_SIZE) as u64)
}

/// The order and the references of the block that page `index` from `pa` on is in.
fn block(pa: PhysAddr, index: usize) -> (u8, u32) {
    let run = state_of(nth(pa, index).unwrap()).unwrap();
    match run.state {
        FrameState::InUse { references, .. } => (run.order, references),
        state => panic!("{state:?}"),
    }
}

#[test]
fn one_page_of_a_gibibyte_is_split_off_and_the_rest_stays_as_large_as_it_can() {
    let (_machine, before) = drained();
    let huge = new_huge();
    let pa = huge.pa();
    let mut space = Space::new(huge);
    assert_eq!(space.levels(), [3; 3]);
    for _ in 0..2 {
        let result = space.change(HUGE / 2, |iter, batch| iter.split(batch));
        assert_eq!(result, Ok(()));
    }
    space.change(HUGE / 2, |iter, batch| iter.unmap(batch));
    assert_eq!(space.levels(), [2, 1, 2]);
    for index in [0, HUGE / 2 + 1, HUGE - 1] {
        assert_eq!(space.at(index).pa(), nth(pa, index));
    }
    assert_eq!(
        accounts().in_use(FrameKind::Anonymous),
        before.in_use(FrameKind::Anonymous) + HUGE - 1
    );
    drop(space);
    drain_own_cache();
    assert_eq!(accounts(), before);
    assert_eq!(new_huge().order(), MAX_ORDER, "it is whole again");
}

#[test]
fn two_that_share_a_gibibyte_split_and_drop_it_independently() {
    let (_machine, before) = drained();
    for is_splitter_first in [false, true] {
        let huge = new_huge();
        let pa = huge.pa();
        let (mut splitter, other) = (Space::new(huge.share()), Space::new(huge));
        assert_eq!(block(pa, 5), (18, 2));
        for index in [0, LARGE, 0, HUGE - 1] {
            splitter
                .change(index, |iter, batch| iter.split(batch))
                .unwrap();
        }
        assert_eq!((splitter.levels(), other.levels()), ([1, 2, 1], [3; 3]));
        assert_eq!([block(pa, 5), block(pa, HUGE / 2)], [(0, 2), (9, 2)]);
        splitter.change(3, |iter, batch| iter.unmap(batch));
        splitter.change(HUGE / 2, |iter, batch| iter.unmap(batch));
        assert_eq!([block(pa, 3), block(pa, HUGE / 2)], [(0, 1), (9, 1)]);
        assert_eq!(
            accounts().in_use(FrameKind::Anonymous),
            before.in_use(FrameKind::Anonymous) + HUGE
        );
        if is_splitter_first {
            drop(splitter);
            assert!(other.at(0).share_big().is_some());
            drop(other);
        } else {
            drop(other);
            assert_eq!(block(pa, 5), (0, 1));
            drop(splitter);
        }
        drain_own_cache();
        assert_eq!(accounts(), before);
    }
}

#[test]
fn what_was_split_twice_merges_twice_once_nobody_shares_it() {
    let (_machine, before) = drained();
    let huge = new_huge();
    let pa = huge.pa();
    let (mut space, other) = (Space::new(huge.share()), Space::new(huge));
    for _ in 0..2 {
        space.change(700, |iter, batch| iter.split(batch)).unwrap();
    }
    assert!(!space.change(700, |iter, batch| iter.try_merge(batch)));
    drop(other);
    // The level 2 first: a table with a part in smaller pages does not merge.
    assert!(!space.change(0, |iter, batch| iter.try_merge(batch)));
    assert!(space.change(700, |iter, batch| iter.try_merge(batch)));
    assert_eq!((space.levels(), block(pa, 700)), ([2; 3], (9, 1)));
    assert!(space.change(700, |iter, batch| iter.try_merge(batch)));
    assert_eq!((space.levels(), block(pa, 700)), ([3; 3], (18, 1)));
    assert_eq!(space.at(700).pa(), nth(pa, 700));
    drop(space);
    drain_own_cache();
    assert_eq!(accounts(), before);
}
