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
//! bits, the index bits of each level, the levels, and the bytes of an entry, so one walker ([`crate::walk()`]) serves
//! any machine.

use crate::plx::{Plx, PlxError};
use crate::sizes::{self, TableSize, TooManyPages};

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
///
/// Sizes and addresses are 64-bit numbers. They hold whatever is computed here as long as a machine keeps to this: its
/// virtual addresses have at most 64 bits, each level has at least one index bit, an entry has a power of two of bytes,
/// and a page is at least two entries long.
pub trait Geometry: Copy {
    /// log2 of the bytes of a page.
    fn page_bits(self) -> u32;

    /// How many levels there are, at least 1.
    fn levels(self) -> u32;

    /// log2 of the number of entries of a table of this level.
    fn index_bits(self, level: u32) -> u32;

    /// The bytes of an entry: 2, 4 or 8.
    fn entry_bytes(self) -> u32;

    /// The bits of a physical address: as many as an entry has room for.
    fn physical_bits(self) -> u32;

    /// The highest level whose entries may map memory: 1, or more on a machine with big pages.
    fn highest_leaf_level(self) -> u32;

    /// Whether the bits above [`Geometry::virtual_bits`] are copies of the bit below them; if not, they have to be
    /// zero.
    fn is_sign_extended(self) -> bool;

    /// What the word `raw` means as an entry of this level. One of level 1 is never a table.
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

    /// The number of entries of a table of this level.
    #[inline]
    fn entries(self, level: u32) -> u64 {
        1 << self.index_bits(level)
    }

    /// The bytes of a table of this level. Of a small root it may be less than a page.
    #[inline]
    fn table_bytes(self, level: u32) -> u64 {
        self.entries(level) * u64::from(self.entry_bytes())
    }

    /// The pages of the address space: as many as a page table can map.
    #[inline]
    fn pages(self) -> u64 {
        1 << (self.virtual_bits() - self.page_bits())
    }

    /// The least that a page table which maps `pages` pages can take: the pages lie side by side, from the beginning of
    /// a table on. They are small pages, no big ones. The root is there even if nothing is mapped.
    ///
    /// # Errors
    /// [`TooManyPages`] if the address space has fewer.
    fn least_table(self, pages: u64) -> Result<TableSize, TooManyPages> {
        sizes::least(self, pages)
    }

    /// The most that a page table which maps `pages` pages can take, if every table but the root maps something: the
    /// pages lie as far apart as possible. They are small pages, no big ones.
    ///
    /// # Errors
    /// [`TooManyPages`] if the address space has fewer.
    fn greatest_table(self, pages: u64) -> Result<TableSize, TooManyPages> {
        sizes::greatest(self, pages)
    }

    /// The formulas for the machine that has this one's pages, levels and entries, and whose tables are pages, all of
    /// them. A machine that is not so, because its root is smaller, has fewer virtual bits than they say.
    ///
    /// # Errors
    /// [`PlxError`] if that machine would be impossible.
    fn plx(self) -> Result<Plx, PlxError> {
        Plx::new(
            1 << self.page_bits(),
            self.levels(),
            u64::from(self.entry_bytes()),
        )
    }
}
