//! What `fork` does with page tables: the child's table gets the parent's mappings.

use crate::addr::{USER_END, VirtAddr};
use crate::error::MapError;
use crate::flush::FlushBatch;
use crate::frame::FrameKind;
use crate::page_table::PageTable;
use crate::page_table::perm::Perm;
use crate::page_table::vm_iter::{VmIter, VmIterMut};

/// What becomes of one mapping in a copy of a page table.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Copying {
    /// Both tables map the same frame with the same rights.
    Share,
    /// Both tables map the same frame, read-only from now on and marked `COPY_ON_WRITE`.
    ShareUntilWritten,
    /// The copy maps a new frame with the same contents, and the same rights.
    CopyNow,
}

/// Maps everything that user code can access in `source` at the same address and with the same permissions in
/// `destination`: the two then share those frames.
///
/// # Errors
/// `NoMemory` for `destination`'s page-table pages; `AlreadyMapped` if something is mapped at one of the
/// addresses. A part has been mapped then.
#[inline(never)]
pub fn copy_mappings(destination: &mut PageTable, source: &PageTable) -> Result<(), MapError> {
    let mut from = VmIter::new(source, source.start());
    let mut to = VmIter::new(destination, source.start());
    while from.find_mapping(USER_END) {
        if let Some((frame, perm)) = from.share_mapping()
            && perm.contains(Perm::USER)
        {
            to.find(from.va()).try_fill(frame, perm)?;
        } else if let Some((big, perm)) = from.share_big()
            && perm.contains(Perm::USER)
        {
            to.find(from.va()).try_fill_big(big, perm)?;
        }
        from.next();
    }
    Ok(())
}

/// As [`copy_mappings`], but `decide` says for each mapping (its address and permissions) what becomes of it. What it
/// takes away from `source` is recorded in `batch`.
///
/// # Errors
/// As `copy_mappings`; also `NoMemory` for the copies.
pub fn copy_mappings_by(
    destination: &mut PageTable,
    source: &mut PageTable,
    batch: &mut FlushBatch<'_>,
    mut decide: impl FnMut(VirtAddr, Perm) -> Copying,
) -> Result<(), MapError> {
    let start = source.start();
    let mut from = VmIterMut::new_mut(source, start);
    let mut to = VmIterMut::new_mut(destination, start);
    while from.find_mapping(USER_END) {
        if from.level() > 1 {
            if from.user() {
                let how = match from.entry().perm().contains(Perm::SHARED) {
                    true => Copying::Share,
                    false => decide(from.va(), from.perm()),
                };
                from.copy_big_leaf(how, &mut to, batch)?;
            }
            from.next();
            continue;
        }
        // Side by side in both: a table of the one and the table for the same addresses of the other.
        let mut copies = to.find(from.va()).table_to_fill()?;
        for page in from.rest_of_table(USER_END) {
            let perm = page.perm();
            if perm.contains(Perm::USER)
                && let Some(frame) = page.frame()
            {
                let how = match perm.contains(Perm::SHARED) {
                    true => Copying::Share,
                    false => decide(page.va, perm),
                };
                let (frame, perm) = match how {
                    Copying::Share => (frame.share(), perm),
                    Copying::ShareUntilWritten => {
                        let perm = perm.shared_until_written();
                        page.protect(perm, batch);
                        (frame.share(), perm)
                    }
                    Copying::CopyNow => (frame.copy(FrameKind::Anonymous)?, perm),
                };
                copies.try_fill(page.va, frame, perm)?;
            }
        }
        from.next_small_table();
    }
    Ok(())
}
