//! Random changes of the owners of one range, against a count of owners for each frame.

use core::ops::Range;

use proptest::prelude::{Strategy, prop_oneof, proptest};

use super::big::{ORDER, anonymous, big, blocks_in, cut, joined};
use super::drained;
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::frame::{BigFrame, FrameKind, FrameState, accounts, drain_own_cache, state_of};

#[derive(Clone, Debug)]
enum Step {
    Share(usize),
    /// Which owner, and by how many orders.
    Cut(usize, u32),
    Drop(usize),
    /// The parts that lie beside an owner's, with as many as make 2 to the power of that more.
    Unite(usize, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let owner = 0..1000_usize;
    let step = prop_oneof![
        3 => owner.clone().prop_map(Step::Share),
        3 => (owner.clone(), 1..4_u32).prop_map(|(owner, by)| Step::Cut(owner, by)),
        3 => owner.clone().prop_map(Step::Drop),
        4 => (owner, 1..4_u32).prop_map(|(owner, by)| Step::Unite(owner, by)),
    ];
    proptest::collection::vec(step, 1..80)
}

/// The owners of one range, and what follows from them.
struct Owners {
    first: usize,
    owners: Vec<BigFrame>,
}

impl Owners {
    fn frames(&self, owner: &BigFrame) -> Range<usize> {
        let start = owner.pa().as_usize() / PAGE_SIZE - self.first;
        start..start + owner.len_pages()
    }

    /// How many own each frame.
    fn counts(&self) -> [u32; 1 << ORDER] {
        let mut counts = [0; 1 << ORDER];
        for owner in &self.owners {
            counts[self.frames(owner)]
                .iter_mut()
                .for_each(|count| *count += 1);
        }
        counts
    }

    fn take(&mut self, step: &Step) {
        let len = self.owners.len();
        if len == 0 {
            return;
        }
        match *step {
            Step::Share(index) => self.owners.push(self.owners[index % len].share()),
            Step::Cut(index, by) => {
                let owner = self.owners.swap_remove(index % len);
                let part_order = owner.order().saturating_sub(by);
                self.owners.extend(cut(owner, part_order));
            }
            Step::Drop(index) => drop(self.owners.swap_remove(index % len)),
            Step::Unite(index, by) => self.unite(index % len, by),
        }
    }

    fn unite(&mut self, index: usize, by: u32) {
        let order = (self.owners[index].order() + by).min(ORDER);
        let start = self.frames(&self.owners[index]).start & !((1 << order) - 1);
        // One owner after the other, as far as they cover the range.
        let mut parts = Vec::new();
        let mut next = start;
        while next < start + (1 << order) {
            let fits = |owner: &BigFrame| {
                self.frames(owner).start == next && self.frames(owner).end <= start + (1 << order)
            };
            let Some(found) = self.owners.iter().position(fits) else {
                self.owners.extend(parts);
                return;
            };
            parts.push(self.owners.swap_remove(found));
            next += parts[parts.len() - 1].len_pages();
        }
        let counts = self.counts();
        let mut whole = joined(parts, order);
        let is_alone = counts[start..start + (1 << order)]
            .iter()
            .all(|count| *count == 0);
        assert_eq!(whole.is_sole_owner(), is_alone);
        assert_eq!(whole.try_unite(), is_alone);
        if is_alone {
            assert_eq!(blocks_in(&whole), [order as u8]);
        }
        self.owners.push(whole);
    }

    fn check(&self, before: usize) {
        let counts = self.counts();
        assert_eq!(
            anonymous(),
            before + counts.iter().filter(|count| **count > 0).count()
        );
        for (index, count) in counts.iter().enumerate() {
            let run = state_of(PhysAddr::new(((self.first + index) * PAGE_SIZE) as u64)).unwrap();
            match run.state {
                FrameState::InUse { references, .. } => assert_eq!(references, *count),
                FrameState::Free | FrameState::Cached => assert_eq!(*count, 0),
                state => panic!("{state:?}"),
            }
        }
        for owner in &self.owners {
            let is_sole = counts[self.frames(owner)].iter().all(|count| *count == 1);
            assert_eq!(owner.is_sole_owner(), is_sole);
        }
    }
}

proptest! {
    #[test]
    fn references_accounts_and_blocks_follow_from_who_owns_what(steps in steps()) {
        let (_machine, before) = drained();
        let whole = big(ORDER);
        let mut owners = Owners { first: whole.pa().as_usize() / PAGE_SIZE, owners: vec![whole] };
        for step in &steps {
            owners.take(step);
            owners.check(before.in_use(FrameKind::Anonymous));
        }
        drop(owners);
        drain_own_cache();
        assert_eq!(accounts(), before);
    }
}
