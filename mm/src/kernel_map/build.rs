//! Filling the kernel's page table.

use core::mem::ManuallyDrop;

use crate::addr::{PhysAddr, VirtAddr};
use crate::error::{MapError, NoMemory};
use crate::frame::{self, Frame, FrameChain, FrameKind};
use crate::kernel_map::{KernelLayout, WINDOW_START, kernel_perm};
use crate::page_table::{Geometry, PageTable, VmIterMut, X86};

/// A page table that maps what `layout` says, and has the upper tables of the window.
pub(super) fn build_table(layout: &KernelLayout<'_>) -> Result<PageTable, MapError> {
    let geometry = if layout.levels == 5 {
        X86::FIVE_LEVELS
    } else {
        X86::FOUR_LEVELS
    };
    // Without memory it is left as it is, for whoever gets the error cannot go on: it is no table that could be
    // retired.
    let mut table = ManuallyDrop::new(PageTable::of_kernel(alloc_below_4_gib()?, geometry));
    let mut page = VmIterMut::new_mut(&mut table, WINDOW_START);
    page.descend_to(X86::HIGHEST_LEAF_LEVEL)?;
    for (segment, perm) in layout.segments() {
        let mut address = segment.start;
        while address < segment.end {
            let fits = |level: &u32| {
                let page_bytes = geometry.span(*level);
                address.is_multiple_of(page_bytes) && segment.end - address >= page_bytes
            };
            let level = (2..=layout.highest_leaf_level())
                .rev()
                .find(fits)
                .unwrap_or(1);
            page.find(VirtAddr::new(address));
            // SAFETY: only the kernel can use the mapping, and it is the owner of all memory and devices.
            unsafe { page.try_map_borrowed(PhysAddr::new(address), level, kernel_perm(perm)) }?;
            address += geometry.span(level);
        }
    }
    Ok(ManuallyDrop::into_inner(table))
}

/// A frame below 4 GiB: CPUs load the root while they can address no more.
fn alloc_below_4_gib() -> Result<Frame, NoMemory> {
    // The allocator prefers small blocks, and there are some at the edges of the kernel's image.
    const MOST_TRIES: usize = 1 << 16;
    let mut too_high = FrameChain::new();
    while too_high.len() < MOST_TRIES {
        let frame = frame::alloc(FrameKind::PageTable)?;
        if frame.pa().as_u64() < 1 << 32 {
            // SAFETY: the frame is memory and nobody else's yet.
            unsafe { frame::zero_page(frame.as_ptr()) };
            return Ok(frame);
        }
        // A new frame has one owner, and so is always taken.
        let _ = too_high.push(frame);
    }
    Err(NoMemory)
}
