//! Regions that are being filled in (`populate.rs`): each knows by whom, so that what is taken out again, should memory
//! run out, is that and nothing else.
#![forbid(unsafe_code)]

use core::num::NonZeroU32;

use super::RegionMap;
use crate::addr::UserRange;
use crate::space::region::{Filling, Region};

impl RegionMap {
    /// Marks `region`, which is about to be inserted and then filled in.
    pub(in crate::space) fn begin_filling(&mut self, region: &mut Region) -> Filling {
        let filling = Filling(self.next_filling);
        self.next_filling = self.next_filling.checked_add(1).unwrap_or(NonZeroU32::MIN);
        region.filling = Some(filling);
        filling
    }

    /// What is left in `range` of the region of `filling` has been filled in, and is a region like others.
    pub(in crate::space) fn end_filling(&mut self, range: UserRange, filling: Filling) {
        let inside = self.indices(range);
        for region in self.regions.get_mut(inside.clone()).unwrap_or_default() {
            if region.filling == Some(filling) {
                region.filling = None;
            }
        }
        self.join_changed(inside);
    }

    /// Takes the first piece out that is left in `range` of the region of `filling`, pinned or not, and returns where
    /// it was; `None` if none is left. Needs no memory.
    pub(in crate::space) fn undo_filling(
        &mut self,
        range: UserRange,
        filling: Filling,
    ) -> Option<UserRange> {
        let is_filled = |region: &&Region| region.filling == Some(filling);
        let mut pieces = self
            .overlapping(range)
            .skip_while(|region| !is_filled(region));
        let mut piece = pieces.next()?.range;
        // All that lie side by side: it may be one big page that shows several.
        while let Some(next) = pieces.next().filter(is_filled)
            && let Some(joined) = piece.joined_with(next.range)
        {
            piece = joined;
        }
        drop(pieces);
        let inside = self.indices(piece);
        self.regions.drain(inside);
        Some(piece)
    }
}
