//! x86-64: pages of 4 KiB, four levels or five, and leaves of 2 MiB and 1 GiB. This is what the kernel runs on.
//!
//! Source: Intel SDM volume 3, "4-Level Paging and 5-Level Paging".

use crate::fault::{Protection, Rights, Rules};
use crate::geometry::{Decoded, Geometry};

/// x86-64, with 4 levels or, where the processor has LA57, with 5: chosen once at boot, and then one field that is
/// read.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct X86 {
    levels: u32,
}

/// How many entries a table of x86-64 has.
pub const ENTRIES: usize = 512;

impl X86 {
    /// 48-bit virtual addresses.
    pub const FOUR_LEVELS: X86 = X86 { levels: 4 };
    /// 57-bit virtual addresses (LA57).
    pub const FIVE_LEVELS: X86 = X86 { levels: 5 };

    /// The highest level whose entries may map memory: 1 GiB pages.
    pub const HIGHEST_LEAF_LEVEL: u32 = 3;

    /// Where the upper half of the address space, which belongs to users, begins.
    #[inline]
    pub fn upper_half(self) -> u64 {
        u64::MAX << (self.virtual_bits() - 1)
    }
}

pub(crate) const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
pub(crate) const HUGE: u64 = 1 << 7;
pub(crate) const NO_EXECUTE: u64 = 1 << 63;

/// The bits of an x86-64 entry that hold a physical address (52 bits, of whole pages).
pub const ADDRESS_BITS: u64 = 0x000f_ffff_ffff_f000;

impl Geometry for X86 {
    #[inline]
    fn page_bits(self) -> u32 {
        12
    }

    #[inline]
    fn levels(self) -> u32 {
        self.levels
    }

    #[inline]
    fn index_bits(self, _level: u32) -> u32 {
        9
    }

    #[inline]
    fn entry_bytes(self) -> u32 {
        8
    }

    #[inline]
    fn physical_bits(self) -> u32 {
        52
    }

    #[inline]
    fn highest_leaf_level(self) -> u32 {
        X86::HIGHEST_LEAF_LEVEL
    }

    #[inline]
    fn is_sign_extended(self) -> bool {
        true
    }

    #[inline]
    fn decode(self, raw: u64, level: u32) -> Decoded {
        if raw & PRESENT == 0 {
            Decoded::Empty
        } else if level == 1 || raw & HUGE != 0 {
            // A big leaf is aligned to its size; the bit of the page attributes lies where a small page's address
            // begins.
            Decoded::Leaf(raw & ADDRESS_BITS & !(self.span(level) - 1))
        } else {
            Decoded::Table(raw & ADDRESS_BITS)
        }
    }

    // All levels are alike here, so that the compiler need not add up a loop.
    #[inline]
    fn shift(self, level: u32) -> u32 {
        12 + 9 * (level - 1)
    }
}

impl Protection for X86 {
    /// As Argonaut has them: everything is switched on.
    fn rules(self) -> Rules {
        Rules {
            has_write_protect: true,
            has_no_execute: true,
            has_smep: true,
            has_smap: true,
        }
    }

    fn rights(self, raw: u64, _level: u32) -> Rights {
        rights_of(raw)
    }

    fn encode(self, decoded: Decoded, rights: Rights, level: u32) -> u64 {
        encode(decoded, rights, level)
    }
}

/// What the flags of an entry of 64 bits allow.
pub(crate) fn rights_of(raw: u64) -> Rights {
    Rights {
        is_writable: raw & WRITABLE != 0,
        is_user: raw & USER != 0,
        is_executable: raw & NO_EXECUTE == 0,
    }
}

/// The entry of 64 bits that says this.
pub(crate) fn encode(decoded: Decoded, rights: Rights, level: u32) -> u64 {
    let huge = if level > 1 { HUGE } else { 0 };
    let location = match decoded {
        Decoded::Empty => return 0,
        Decoded::Table(table) => table & ADDRESS_BITS,
        Decoded::Leaf(start) => start & ADDRESS_BITS | huge,
    };
    let no_execute = if rights.is_executable { 0 } else { NO_EXECUTE };
    location | low_flags(rights) | no_execute
}

/// The flags that all kinds of x86 have in the same place, of an entry that is present.
pub(crate) fn low_flags(rights: Rights) -> u64 {
    let writable = if rights.is_writable { WRITABLE } else { 0 };
    let user = if rights.is_user { USER } else { 0 };
    PRESENT | writable | user
}

#[cfg(test)]
mod tests {
    use super::X86;
    use crate::geometry::{Decoded, Geometry};

    #[test]
    fn an_address_falls_into_the_indices_of_the_manual() {
        let address = (3 << 39) | (5 << 30) | (7 << 21) | (11 << 12) | 13;
        let indices = [4, 3, 2, 1].map(|level| X86::FOUR_LEVELS.index(address, level));
        assert_eq!(indices, [3, 5, 7, 11]);
        assert_eq!(X86::FIVE_LEVELS.index(address | (17 << 48), 5), 17);
    }

    #[test]
    fn an_entry_of_each_level_spans_the_sizes_of_the_manual() {
        let spans = [1, 2, 3, 4, 5].map(|level| X86::FIVE_LEVELS.span(level));
        assert_eq!(spans, [4 << 10, 2 << 20, 1 << 30, 512 << 30, 256 << 40]);
    }

    #[test]
    fn addresses_in_the_hole_are_not_canonical() {
        let (four, five) = (X86::FOUR_LEVELS, X86::FIVE_LEVELS);
        assert!(four.is_canonical(0x7fff_ffff_ffff) && !four.is_canonical(0x8000_0000_0000));
        assert!(
            four.is_canonical(0xffff_8000_0000_0000) && !four.is_canonical(0xffff_7fff_ffff_ffff)
        );
        assert!(
            five.is_canonical(0xff00_0000_0000_0000) && !five.is_canonical(0xfeff_ffff_ffff_ffff)
        );
        assert_eq!(four.upper_half(), 0xffff_8000_0000_0000);
        assert_eq!(five.upper_half(), 0xff00_0000_0000_0000);
    }

    #[test]
    fn the_attribute_bit_of_a_big_leaf_is_not_part_of_its_address() {
        let big_leaf = 0x4020_0000 | (1 << 12) | (1 << 7) | 1;
        assert_eq!(
            X86::FOUR_LEVELS.decode(big_leaf, 2),
            Decoded::Leaf(0x4020_0000)
        );
    }
}
