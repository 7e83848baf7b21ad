//! Comparing a space with its model.

use super::expected::Content;
use super::world::Modelled;
use super::{BIG_CUTS, ELSEWHERE, FIRST, PAGES, SHARED_PAGES, known_pages};
use crate::addr::{PAGE_SIZE, USER_START, UserRange, VirtAddr};
use crate::page_table::{Perm, VmIterMut};
use crate::space::tests::{address, range};
use crate::space::{Memory, Protection, RegionFlags};

impl Modelled {
    /// Compares everything without touching it: the regions with the pages of the model, what is mapped with the
    /// values, and SPACE-1 to SPACE-3. All of the big pages are walked only if `is_big`, since they may be a thousand
    /// small ones.
    pub(super) fn check(&self, shared_values: &[u64; SHARED_PAGES], is_big: bool) {
        let mut memory = self.space.memory.write();
        self.check_regions(&memory);
        self.check_values(&mut memory, shared_values);
        let last_small = FIRST + PAGES + PAGES;
        check_leaves(&mut memory, 0, last_small);
        if is_big {
            check_leaves(&mut memory, last_small, BIG_CUTS[4] + 1 - last_small);
        }
        if let Some(start) = self.elsewhere {
            check_leaves(&mut memory, start - PAGES, PAGES + ELSEWHERE);
        }
    }

    /// Reads each page as the program would, and those beside them.
    pub(super) fn check_by_loads(&mut self, shared_values: &[u64; SHARED_PAGES]) {
        for page in known_pages(FIRST - 1, BIG_CUTS[4] + 2 - FIRST) {
            let is_near = page < FIRST + PAGES + PAGES || page >= BIG_CUTS[0] - 1;
            if is_near {
                self.load(page, shared_values);
            }
        }
        if let Some(start) = self.elsewhere {
            self.load(start, shared_values);
        }
    }

    fn check_regions(&self, memory: &Memory) {
        let mut count = 0;
        for region in memory.regions.iter() {
            let start = (region.range.start().as_usize() - USER_START.as_usize()) / PAGE_SIZE;
            for at in known_pages(start, region.range.len_pages()) {
                let page = self.model.pages.get(&at);
                let found = page.map(|page| (page.protection, page.flags));
                let expected = Some((region.protection, region.flags));
                assert_eq!(found, expected, "page {at} of {region}");
                count += 1;
            }
        }
        assert_eq!(count, self.model.pages.len(), "pages are in no region");
    }

    fn check_values(&self, memory: &mut Memory, shared_values: &[u64; SHARED_PAGES]) {
        let Some(table) = memory.table() else {
            return;
        };
        let mut iter = VmIterMut::new_mut(table, USER_START);
        for (&at, page) in &self.model.pages {
            let kptr = iter.find(address(at)).kptr();
            // SAFETY: a page of the host's memory, which the table keeps; no other thread is in this machine.
            let found = kptr.map(|kptr| unsafe { kptr.cast::<u64>().read() });
            let always = RegionFlags::EAGER | RegionFlags::PAGE_ALLOC;
            match (page.content, found) {
                (Content::Own { now, .. }, Some(found)) => assert_eq!(found, now, "page {at}"),
                (Content::Shared(index), Some(found)) => {
                    assert_eq!(found, shared_values[index], "page {at}");
                }
                (Content::Own { initial, now }, None) => {
                    assert_eq!(now, initial, "page {at} is lost");
                }
                (Content::Shared(_), None) => {}
            }
            let may_be_absent = !page.flags.intersects(always);
            assert!(may_be_absent || found.is_some(), "page {at}: SPACE-2");
        }
    }
}

/// What is mapped in `len` pages from `start` on keeps SPACE-1 and SPACE-3.
fn check_leaves(memory: &mut Memory, start: usize, len: usize) {
    let Memory { regions, table, .. } = memory;
    let Some(table) = table else {
        return;
    };
    let range = range(start, len);
    let mut iter = VmIterMut::new_mut(table.get_mut(), range.start());
    while iter.find_mapping(range.end()) {
        let (va, perm) = (iter.va(), iter.perm());
        let len_bytes = iter.last_va().as_usize() + 1 - va.as_usize();
        let leaf = UserRange::page_aligned(va.as_usize(), len_bytes).unwrap();
        assert!(regions.covers(leaf), "SPACE-1: {leaf:?} is in no region");
        // Part of a big page may be pinned: two regions with the same rights.
        for region in regions.overlapping(leaf) {
            check_rights(va, perm, region.protection);
        }
        let is_writable = perm.contains(Perm::WRITE) && !perm.contains(Perm::SHARED);
        assert!(
            !is_writable || iter.owns_frame_alone(),
            "SPACE-3: {va} is writable and not its own"
        );
        iter.next();
    }
}

/// The mapping at `va` allows no more than a region with `protection` does.
fn check_rights(va: VirtAddr, perm: Perm, protection: Protection) {
    let is_writable = perm.contains(Perm::WRITE);
    let is_executable = !perm.contains(Perm::NO_EXECUTE);
    let is_users = perm.contains(Perm::USER);
    assert!(
        (!is_writable || protection.contains(Protection::WRITE))
            && (!is_executable || protection.contains(Protection::EXECUTE))
            && (!is_users || !protection.contains(Protection::KERNEL)),
        "SPACE-1: {va} has {perm:?} in a region with {protection}"
    );
}
