//! The exercise `bigdata`: a program whose text is in the wrong order, until set-up puts its pages in order.

use core::sync::atomic::{AtomicBool, Ordering};

use abi::layout::PAGE_SIZE;
use mm::addr::VirtAddr;
use mm::error::SpaceError;
use mm::space::{FaultAccess, Protection, Space};

use crate::elf_image::ElfImage;

/// The program whose pages are put in order.
const PROGRAM: &[u8] = b"bigdata";

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Has set-up put the pages of `bigdata` in order (`warp=on`).
pub fn set_on() {
    // Relaxed: set at boot, before the first process.
    IS_ON.store(true, Ordering::Relaxed);
}

/// If the program `name` is the one: has the first two pages of its data change places, and logs which frames they
/// have, with which contents, before and afterwards.
///
/// # Errors
/// Those of [`Space::exchange_pages`].
pub(super) fn put_in_order(name: &[u8], image: &ElfImage, space: &Space) -> Result<(), SpaceError> {
    // Relaxed: set at boot.
    if name != PROGRAM || !IS_ON.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut segments = image.segments();
    let data = segments.find(|segment| segment.protection.contains(Protection::WRITE));
    let first = data.ok_or(SpaceError::NotMapped)?.range.start();
    let second = first
        .checked_add(PAGE_SIZE as u64)
        .ok_or(SpaceError::NotMapped)?;
    for page in [first, second] {
        space.fault(page, FaultAccess::READ)?;
    }
    log("before", space, [first, second]);
    space.exchange_pages(first, second)?; // <-- bigdata: this line changes two entries of the page table, and nothing else
    log("after", space, [first, second]);
    Ok(())
}

fn log(when: &str, space: &Space, pages: [VirtAddr; 2]) {
    for page in pages {
        if let Some(frame) = space.frame_hash(page) {
            smp::log!(
                "warp {when}: {page:#x} -> frame {:#x} hash {:#018x}",
                frame.pa,
                frame.hash
            );
        }
    }
}
