//! Where the arguments of the calls point: memory that every process of the storm has at the same addresses, and
//! addresses that nobody may use.
//!
//! The calls change whatever lies here, at any time. What they are never told to write to is the program itself: its
//! data, and the stacks that its threads run on. So a thread's sequence of calls is its own until it ends.

use abi::OpenFlags;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_BOTTOM, STACK_TOP, USER_END, USER_START};
use ulib::file::File;
use ulib::mapping::{self, MapRequest};
use ulib::{MapFlags, Protection, memory};

/// Where most things are mapped, unmapped and written.
pub(crate) const ARENA: usize = 0xffff_a800_0000_0000;
/// How long that is, in pages.
pub(crate) const ARENA_PAGES: usize = 64;
/// Pages that cannot be written, unless somebody makes them.
pub(crate) const READ_ONLY: usize = 0xffff_a900_0000_0000;
/// The end of a mapping that grows down, like a stack.
pub(crate) const STACK_LIKE_END: usize = 0xffff_aa00_0000_0000;
/// Memory that all processes of the storm have in common.
pub(crate) const COMMON: usize = 0xffff_ab00_0000_0000;
/// How long the last three are.
pub(crate) const PLACE_LEN: usize = 4 * PAGE_SIZE;

/// Files that the calls make, fill and cut.
pub(crate) const SCRATCH_FILES: [&str; 2] = ["grind.a", "grind.b"];

/// The middle of nowhere, the kernel, and the edges of everything.
pub(crate) const BAD: [usize; 24] = [
    0,
    1,
    8,
    0x1000,
    0x20_0000,                  // the kernel's text
    0x20_0ff9,                  // the same, across pages
    0xfee0_0000,                // the local APIC
    0x4000_0000_0000,           // the kernel's half
    0x7fff_ffff_f000,           // its last page
    0x7fff_ffff_fff8,           // its last word
    0x0000_8000_0000_0000,      // not canonical
    0x8000_0000_0000_0000,      // not canonical either
    0xfeff_ffff_ffff_fff8,      // below user space, with five levels too
    USER_START - 8,             // below user space with four
    USER_START,                 // its first byte
    USER_START + PAGE_SIZE - 1, // across two pages that are not there
    PROGRAM_BASE - PAGE_SIZE,   // the gap above the stack
    STACK_BOTTOM - 64,          // where the stack may not grow
    STACK_TOP + 64,             // above it
    0xffff_c000_0000_0000,      // nothing, nor around it
    USER_END - 8,               // the last word of user space
    USER_END,                   // the page that is never mapped
    usize::MAX - 7,             // about to wrap
    usize::MAX,
];

/// Maps what this process needs, before its threads begin. What cannot be had, the calls do without.
pub(crate) fn prepare() {
    let half = ARENA_PAGES / 4 * PAGE_SIZE;
    // SAFETY: nothing of the program lies there.
    let _ = unsafe { memory::page_alloc_range(ARENA, ARENA_PAGES / 4) };
    let _ = mapping::map(&MapRequest::anonymous(half).at(ARENA + half));
    if let Ok(program) = File::open("nop", OpenFlags::READ) {
        let request = MapRequest::file(&program, 0, PLACE_LEN);
        let _ = mapping::map(&request.at(ARENA + 2 * half));
        let _ = mapping::map(&request.at(READ_ONLY).protection(Protection::READ));
    }
    let stack = MapRequest::anonymous(PAGE_SIZE).flags(MapFlags::GROW_DOWN);
    let _ = mapping::map(&stack.at(STACK_LIKE_END - PAGE_SIZE).limit(PLACE_LEN));
}

/// Maps [`COMMON`], which forks pass on.
pub(crate) fn prepare_common() -> Result<usize, ulib::Errno> {
    mapping::map(
        &MapRequest::anonymous(PLACE_LEN)
            .at(COMMON)
            .flags(MapFlags::SHARED),
    )
}
