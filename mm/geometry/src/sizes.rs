//! How large page tables get.
//!
//! A table that maps n pages has, of each level, at least as many tables as are needed if they are full one after
//! another, and at most one for each page; nor more than there can be. Either can be had on all levels at once: pages
//! side by side fill the tables of each level one after another, and pages that are dealt out evenly to the root's
//! entries, and below each of them evenly again, are as far apart as possible on every level.
//!
//! The sums fit into 64 bits. Complete, level 1 has an entry for each page of at most 64 bits of address space, and a
//! page is at least two entries long: that makes at most 2^63 bytes. Each level above takes at most half of that below.

use core::fmt;

use crate::geometry::Geometry;

/// What a page table takes.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct TableSize {
    /// How many tables it is made of: page-table pages, where a table is a page.
    pub tables: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// More pages than the address space has.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct TooManyPages {
    /// How many pages it has.
    pub most: u64,
}

impl fmt::Display for TooManyPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address space has {} pages", self.most)
    }
}

impl core::error::Error for TooManyPages {}

pub(crate) fn least<G: Geometry>(geometry: G, pages: u64) -> Result<TableSize, TooManyPages> {
    let mut tables = pages;
    sum(geometry, pages, |level| {
        tables = tables.div_ceil(geometry.entries(level));
        tables
    })
}

pub(crate) fn greatest<G: Geometry>(geometry: G, pages: u64) -> Result<TableSize, TooManyPages> {
    let mut possible = geometry.pages();
    sum(geometry, pages, |level| {
        possible >>= geometry.index_bits(level);
        possible.min(pages)
    })
}

/// Sums over the levels, from 1 up, of each of which `tables_of` says how many tables there are.
fn sum<G: Geometry>(
    geometry: G,
    pages: u64,
    mut tables_of: impl FnMut(u32) -> u64,
) -> Result<TableSize, TooManyPages> {
    let most = geometry.pages();
    if pages > most {
        return Err(TooManyPages { most });
    }
    let mut size = TableSize::default();
    for level in 1..=geometry.levels() {
        let is_root = level == geometry.levels();
        let tables = tables_of(level).max(u64::from(is_root));
        size.tables += tables;
        size.bytes += tables * geometry.table_bytes(level);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use super::{TableSize, TooManyPages};
    use crate::geometry::{Decoded, Geometry};
    use crate::{Ia32, Pae, Tag, Teensy, X86};

    fn size(tables: u64, bytes: u64) -> TableSize {
        TableSize { tables, bytes }
    }

    fn least<G: Geometry>(geometry: G, pages: u64) -> TableSize {
        geometry.least_table(pages).expect("it should fit")
    }

    fn greatest<G: Geometry>(geometry: G, pages: u64) -> TableSize {
        geometry.greatest_table(pages).expect("it should fit")
    }

    #[test]
    fn one_page_takes_a_table_of_each_level() {
        assert_eq!(least(X86::FOUR_LEVELS, 1), size(4, 16384));
        assert_eq!(least(X86::FIVE_LEVELS, 1), size(5, 20480));
        assert_eq!(least(Pae, 1), size(3, 4096 + 4096 + 32));
        assert_eq!(least(Ia32, 1), size(2, 8192));
        assert_eq!(least(Teensy, 1), size(1, 32));
        assert_eq!(least(Tag, 1), size(2, 512));
        assert_eq!(greatest(X86::FOUR_LEVELS, 1), size(4, 16384));
    }

    #[test]
    fn everything_takes_all_the_tables_that_there_can_be() {
        // 1 + 512 + 512^2 + 512^3, and 512^4 with five levels.
        let four = size(134_480_385, 550_831_656_960);
        assert_eq!(least(X86::FOUR_LEVELS, 1 << 36), four);
        let five = size(68_853_957_121, 282_025_808_367_616);
        assert_eq!(least(X86::FIVE_LEVELS, 1 << 45), five);
        assert_eq!(least(Pae, 1 << 20), size(2053, 8_404_992 + 32));
        assert_eq!(least(Ia32, 1 << 20), size(1025, 4_198_400));
        assert_eq!(least(Teensy, 16), size(1, 32));
        assert_eq!(least(Tag, 1 << 14), size(129, 33_024));
        for pages in [1 << 36, (1 << 36) - 1] {
            assert_eq!(greatest(X86::FOUR_LEVELS, pages), four);
        }
    }

    #[test]
    fn pages_side_by_side_fill_tables_and_scattered_ones_have_their_own() {
        // Two tables of level 1 for 513 pages; or 513 tables of level 1 below 513 of level 2 below 512 of level 3.
        assert_eq!(least(X86::FOUR_LEVELS, 512).tables, 4);
        assert_eq!(least(X86::FOUR_LEVELS, 513).tables, 5);
        assert_eq!(greatest(X86::FOUR_LEVELS, 513).tables, 1 + 512 + 513 + 513);
        assert_eq!(least(Tag, 129), size(3, 768));
        assert_eq!(greatest(Tag, 129), size(129, 33_024));
    }

    #[test]
    fn without_a_page_there_is_the_root() {
        assert_eq!(least(X86::FOUR_LEVELS, 0), size(1, 4096));
        assert_eq!(greatest(Pae, 0), size(1, 32));
    }

    #[test]
    fn more_pages_than_there_are_is_an_error() {
        let most = TooManyPages { most: 1 << 36 };
        assert_eq!(X86::FOUR_LEVELS.least_table((1 << 36) + 1), Err(most));
        assert_eq!(X86::FOUR_LEVELS.greatest_table(u64::MAX), Err(most));
        assert_eq!(Teensy.least_table(17), Err(TooManyPages { most: 16 }));
    }

    /// A machine of 128 pages, whose tables have 8, 2 and 8 entries.
    #[derive(Copy, Clone)]
    struct Uneven;

    impl Geometry for Uneven {
        fn page_bits(self) -> u32 {
            4
        }
        fn levels(self) -> u32 {
            3
        }
        fn index_bits(self, level: u32) -> u32 {
            [3, 1, 3][level as usize - 1]
        }
        fn entry_bytes(self) -> u32 {
            2
        }
        fn physical_bits(self) -> u32 {
            16
        }
        fn highest_leaf_level(self) -> u32 {
            1
        }
        fn is_sign_extended(self) -> bool {
            false
        }
        fn decode(self, _raw: u64, _level: u32) -> Decoded {
            Decoded::Empty
        }
    }

    /// How many tables map these pages, counted.
    fn count(pages: impl Iterator<Item = u64>) -> u64 {
        let levels = |page| (1..=Uneven.levels()).map(move |level| (level, page << 4));
        let tables: BTreeSet<(u32, u64)> = pages
            .flat_map(levels)
            .map(|(level, address)| (level, address >> Uneven.shift(level + 1)))
            .collect();
        tables.len() as u64
    }

    #[test]
    fn no_choice_of_pages_takes_less_than_the_least_or_more_than_the_greatest() {
        let most = Uneven.pages();
        for pages in 1..=most {
            let (least, greatest) = (least(Uneven, pages), greatest(Uneven, pages));
            assert_eq!(count(0..pages), least.tables);
            // Dealt out: the lowest 3 bits of the count choose the root's entry, the next one that of level 2.
            let scattered = (0..pages).map(|n| (n % 8) << 4 | (n / 8 % 2) << 3 | (n / 16));
            assert_eq!(count(scattered), greatest.tables);
            for stride in [3, 5, 9, 17, 33, 65, 127] {
                let tables = count((0..pages).map(|n| n * stride % most));
                assert!((least.tables..=greatest.tables).contains(&tables));
            }
        }
    }
}
