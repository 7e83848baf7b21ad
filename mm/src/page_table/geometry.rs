//! The shape of a page table as a parameter: how an address falls into indices, and what an entry says.
//!
//! A multi-level page table is a tree. An address is cut, from the top down, into one index for each level and an
//! offset in the page:
//!
//! ```text
//!   63        48 47       39 38       30 29       21 20       12 11        0
//!  |  sign      | level 4   | level 3   | level 2   | level 1   | offset     |   x86-64 with 4 levels
//! ```
//!
//! The level is numbered from the leaves: an entry of level 1 maps one page, an entry of level 2 as much as a whole
//! table of level 1, and so on; the root has the highest level. Everything else follows from four numbers, the page's
//! bits, the index bits of each level, the levels, and the bytes of an entry, so one walker ([`super::walk`]) serves
//! any machine.

/// What an entry of a page table says about the addresses that it covers.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Decoded {
    /// Nothing is mapped there.
    Empty,
    /// The next table, at this physical address, says more.
    Table(u64),
    /// All of it is mapped, from this physical address on.
    Leaf(u64),
}

/// The shape of a machine's page tables.
///
/// A level is between 1 (its entries map pages) and [`Geometry::levels`] (the root). A value of the type carries what
/// is only known at boot; what the compiler can know is returned as a constant.
pub trait Geometry: Copy {
    /// log2 of the bytes of a page.
    fn page_bits(self) -> u32;

    /// How many levels there are, at least 1.
    fn levels(self) -> u32;

    /// log2 of the number of entries of a table of this level.
    fn index_bits(self, level: u32) -> u32;

    /// The bytes of an entry: 2, 4 or 8.
    fn entry_bytes(self) -> u32;

    /// Whether the bits above [`Geometry::virtual_bits`] are copies of the bit below them; if not, they have to be
    /// zero.
    fn is_sign_extended(self) -> bool;

    /// What the word `raw` means as an entry of this level.
    fn decode(self, raw: u64, level: u32) -> Decoded;

    /// The bits of an address below the index of this level: log2 of the bytes that one entry of the level covers.
    #[inline]
    fn shift(self, level: u32) -> u32 {
        self.page_bits() + (1..level).map(|below| self.index_bits(below)).sum::<u32>()
    }

    /// The bits of a virtual address that mean something.
    #[inline]
    fn virtual_bits(self) -> u32 {
        self.shift(self.levels()) + self.index_bits(self.levels())
    }

    /// Which entry of the table of this level `address` is looked up in.
    #[inline]
    fn index(self, address: u64, level: u32) -> usize {
        (address >> self.shift(level)) as usize & ((1 << self.index_bits(level)) - 1)
    }

    /// The bytes that one entry of this level covers.
    #[inline]
    fn span(self, level: u32) -> u64 {
        1 << self.shift(level)
    }

    /// `address` with the bits above [`Geometry::virtual_bits`] as the machine wants them.
    #[inline]
    fn canonical(self, address: u64) -> u64 {
        let unused_bits = u64::BITS - self.virtual_bits();
        if self.is_sign_extended() {
            (((address << unused_bits) as i64) >> unused_bits) as u64
        } else {
            (address << unused_bits) >> unused_bits
        }
    }

    /// Whether the machine can translate `address` at all.
    #[inline]
    fn is_canonical(self, address: u64) -> bool {
        self.canonical(address) == address
    }
}

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

const PRESENT: u64 = 1;
const HUGE: u64 = 1 << 7;

/// The bits of an x86-64 entry that hold a physical address (52 bits, of whole pages).
pub(super) const ADDRESS_BITS: u64 = 0x000f_ffff_ffff_f000;

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

#[cfg(test)]
mod tests {
    use super::{Decoded, Geometry, X86};

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
