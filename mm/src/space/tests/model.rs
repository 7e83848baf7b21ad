//! Random sequences of operations against a plain model: for each space, a map from page to value and rights.
//!
//! After each step the space that it was done in is compared with its model without touching it, so that pages which
//! nobody has touched stay so; at the end every space is read as its program would. See [`check`] for what is looked
//! at.

mod check;
mod expected;
mod operation;
mod world;

use proptest::prelude::{ProptestConfig, prop, proptest};

use super::frames_in_use;
use crate::hw::host::machine;
use operation::operation;
use world::World;

/// Small pages lie on both sides of the end of a page table.
const FIRST: usize = 496;
const PAGES: usize = 32;
/// Where ranges of big pages begin and end: the whole ones, and within them.
const BIG_CUTS: [usize; 5] = [1024, 1027, 1536, 1538, 2048];
/// The pages among the big ones that the model knows: some between any two cuts.
const BIG_PROBES: [usize; 10] = [1024, 1026, 1027, 1300, 1535, 1536, 1537, 1538, 2000, 2047];
/// How many pages `add_anywhere` adds at least.
const ELSEWHERE: usize = 3;
const MOST_SPACES: usize = 4;
const FILE_PAGES: usize = 3;
const SHARED_PAGES: usize = 6;

/// The pages in `len_pages` pages from `start` on that the model knows.
fn known_pages(start: usize, len_pages: usize) -> impl Iterator<Item = usize> {
    let (first_big, end_big) = (BIG_CUTS[0], BIG_CUTS[BIG_CUTS.len() - 1]);
    let is_known =
        move |page: &usize| !(first_big..end_big).contains(page) || BIG_PROBES.contains(page);
    (start..start + len_pages).filter(is_known)
}

proptest! {
    // 102,000 steps: 1020 sequences of 100 on average.
    #![proptest_config(ProptestConfig { cases: 1020, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_what_a_map_from_pages_to_values_would(
        operations in prop::collection::vec((0..MOST_SPACES, operation()), 50..151)
    ) {
        let _machine = machine();
        let before = frames_in_use();
        {
            let mut world = World::new();
            for (turn, operation) in &operations {
                world.step(*turn, operation);
            }
            world.check_all();
        }
        assert_eq!(frames_in_use(), before, "frames of user memory, files and page tables");
    }
}
