//! Mappings: what a program may do with memory, how `map` makes it, and what `mapping` tells.

use crate::flag_set::flag_set;
use crate::layout::PAGE_SIZE;

/// A mapping that grows by itself stays so many bytes away from its neighbours.
pub const GUARD_GAP_LEN: usize = 16 * PAGE_SIZE;

/// `map`'s descriptor for memory that shows no file.
pub const NO_FILE: i32 = -1;

/// So many mappings, counting each part with rights of its own, a process can have at a time.
pub const REGIONS_MAX: usize = 1 << 16;

/// So many offers of pages (`share`) a process can have at a time.
pub const OFFERS_MAX: usize = 64;

flag_set! {
    /// What a program may do with memory, and whether that stays where it is. Any combination is allowed, writing with
    /// execution too.
    pub struct Protection: u32 {
        /// It may be read. What is mapped always may, so this bit adds nothing.
        const READ = 1;
        /// It may be written.
        const WRITE = 2;
        /// It may be executed.
        const EXECUTE = 4;
        /// It is pinned: it cannot be unmapped or moved until `protect` without this bit has unpinned it.
        const PIN = 8;
    }

    /// How `map` makes a mapping, with Linux's numbers. Where it goes is not said here: at the given address exactly,
    /// or for address 0 where the kernel likes.
    pub struct MapFlags: u32 {
        /// Writes go to the file, or to all processes that have the mapping from a fork; otherwise they are private.
        const SHARED = 0x1;
        /// The memory is zeros, and no file.
        const ANONYMOUS = 0x20;
        /// It grows downwards when the program touches what is below it, as a stack does.
        const GROW_DOWN = 0x100;
        /// It grows upwards when the program touches what is above it.
        const GROW_UP = 0x200;
        /// All of its pages are there when `map` returns.
        const EAGER = 0x8000;
    }

    /// What one page is at the moment.
    pub struct PageState: u32 {
        /// It is in memory: reading it does not fault.
        const PRESENT = 1;
        /// Neither does writing it.
        const WRITABLE = 2;
        /// Its frame may be another process's or a file's too; a private page gets its own when it is written.
        const SHARED = 4;
    }
}

/// What is mapped at an address, as `mapping` stores it.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[repr(C)]
pub struct MappingInfo {
    /// The first address of the mapping. Neighbours that are alike are one mapping.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The length of the page that translates the address, 4 KiB, 2 MiB or 1 GiB; 0 as long as there is none.
    pub page_len: u64,
    /// What the program may do there: [`Protection`] as a number.
    pub protection: u32,
    /// How it was mapped: [`MapFlags`] as a number.
    pub flags: u32,
    /// [`PageState`] as a number.
    pub page: u32,
    /// 1 if the memory comes from `page_alloc`, otherwise 0.
    pub is_page_alloc: u32,
}

impl MappingInfo {
    /// What the program may do there.
    pub const fn protection(&self) -> Protection {
        Protection::from_bits_truncate(self.protection)
    }

    /// How it was mapped.
    pub const fn flags(&self) -> MapFlags {
        MapFlags::from_bits_truncate(self.flags)
    }

    /// What the page is at the moment.
    pub const fn page(&self) -> PageState {
        PageState::from_bits_truncate(self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::{MapFlags, Protection};

    #[test]
    fn bits_without_a_meaning_are_refused() {
        assert_eq!(Protection::from_bits(16), None);
        assert_eq!(MapFlags::from_bits(0x10), None);
        let pinned = Protection::WRITE | Protection::PIN;
        assert_eq!(Protection::from_bits(10), Some(pinned));
        assert_eq!(MapFlags::from_bits(0), Some(MapFlags::empty()));
    }

    #[test]
    fn the_numbers_do_not_change() {
        assert_eq!(Protection::all().bits(), 1 | 2 | 4 | 8);
        assert_eq!(MapFlags::all().bits(), 0x1 | 0x20 | 0x100 | 0x200 | 0x8000);
    }
}
