//! Boot: making the frame table inside of the memory that it describes, and filling the pool.

use core::ops::Range;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::descriptor::{Descriptor, Tag, blocks};
use super::layout::{MemoryLayout, MemoryRange, Use};
use super::{bytes, cache, pool, table};
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use crate::error::NoMemory;
use crate::hw;

/// Why there is no memory to boot with.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum StartError {
    /// The frame table was made before.
    AlreadyDone,
    /// No range of free memory can hold the frame table.
    NoSpaceForTable {
        /// The size of the table.
        table_bytes: usize,
    },
}

static RESERVED: AtomicUsize = AtomicUsize::new(0);
static MANAGED: AtomicUsize = AtomicUsize::new(0);

/// Makes the frame table at the top of free memory, and everything else that is free available. The first thing of
/// `mm` that is called, by the boot CPU alone.
///
/// `memory_map` lists the machine's usable memory, `reserved` what of it is used already: the kernel's image, boot
/// information, modules, the first trampoline page, firmware tables. Both may be unordered and overlap. The time that
/// this takes is that of zeroing the table, six thousandths of the memory; free memory itself is not touched.
///
/// # Errors
/// [`StartError`]; nothing has changed then.
///
/// # Safety
/// 1. All of `memory_map` is memory that the kernel reaches through `hw::phys_to_ptr`, writable.
/// 2. Everything in it that is in use is in `reserved`.
pub unsafe fn init(memory_map: &[MemoryRange], reserved: &[MemoryRange]) -> Result<(), StartError> {
    if table::is_set() {
        return Err(StartError::AlreadyDone);
    }
    let mut layout = MemoryLayout {
        memory: memory_map,
        reserved,
        table: 0..0,
    };
    let len = layout.frame_count() as usize;
    let table_bytes = len * size_of::<Descriptor>();
    let table_frames = table_bytes.div_ceil(PAGE_SIZE) as u32;
    let start = layout
        .find_space(table_frames)
        .ok_or(StartError::NoSpaceForTable { table_bytes })?;
    layout.table = start..start + table_frames;
    // SAFETY: the frames are free memory by 1. and 2., and reserved for the table from now on.
    let descriptors = unsafe { make_table(layout.table.clone(), len) };
    table::set(descriptors);
    // Holes first: their tags are what keeps the buddy from merging across the end of memory.
    for (run, usage) in layout.runs().filter(|run| run.1 != Use::Free) {
        for (number, order) in blocks(run.start, run.end) {
            let tag = if usage == Use::Absent {
                Tag::absent(order)
            } else {
                Tag::reserved(order)
            };
            descriptors[number as usize].set_tag(tag);
        }
    }
    layout
        .runs()
        .filter(|run| run.1 == Use::Free)
        .for_each(|(run, _)| pool::give_range(run));
    // Relaxed: no other CPU runs yet.
    RESERVED.store(layout.count(Use::Reserved), Ordering::Relaxed);
    MANAGED.store(layout.count(Use::Free), Ordering::Relaxed);
    Ok(())
}

/// A table of `len` empty descriptors in the frames `frames`.
///
/// # Safety
/// The frames are memory that the kernel reaches, large enough, and nobody else's, for ever.
unsafe fn make_table(frames: Range<u32>, len: usize) -> &'static [Descriptor] {
    let address = |frame: u32| PhysAddr::new((frame as u64) << PAGE_SHIFT);
    for frame in frames.clone() {
        // SAFETY: the caller owns the page.
        unsafe { bytes::zero_page(hw::phys_to_ptr(address(frame))) };
    }
    let first = hw::phys_to_ptr(address(frames.start)).cast::<Descriptor>();
    // SAFETY: the caller gives the memory for ever; a page is aligned for descriptors; all-zero is a valid descriptor,
    // since it is made of atomic integers.
    unsafe { slice::from_raw_parts(ptr::from_ref(&*first), len) }
}

/// Gives each of `cpus` CPUs its cache of frames. Once, by the boot CPU before another CPU runs; after `init`.
pub(crate) fn init_cpu_caches(cpus: usize) -> Result<(), NoMemory> {
    cache::init(cpus, pool::free_frames())
}

/// The numbers of frames that are reserved and that the pool was given.
pub(super) fn boot_counts() -> (usize, usize) {
    (
        RESERVED.load(Ordering::Relaxed),
        MANAGED.load(Ordering::Relaxed),
    )
}
