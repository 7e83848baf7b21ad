//! The formulas of P, L and X, for page tables that are made of whole pages.
//!
//! *P* is the bytes of a page, *L* the levels, *X* the bytes of an entry. A table is one page, so it has *P/X* entries,
//! and a level takes log2(*P/X*) bits of an address. From that:
//!
//! | what | formula | x86-64: P = 4096, L = 4, X = 8 |
//! |---|---|---|
//! | entries of a table | P/X | 512 |
//! | virtual bits | log2 P + L log2(P/X) | 12 + 4 * 9 = 48 |
//! | levels for v virtual bits | (v - log2 P) / log2(P/X), rounded up | 36 / 9 = 4 |
//! | least page table, of one page | L P | 16 KiB |
//! | greatest, of everything | P (1 + P/X + ... + (P/X)^(L-1)) | 513 GiB and 2 MiB and 4 KiB |
//!
//! The sums fit into 64 bits for the reason that is given in [`crate::sizes`].

use core::fmt;

/// The bits of the widest address.
const MAX_VIRTUAL_BITS: u64 = 64;

/// A machine by its P, L and X, which is possible.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Plx {
    page_bits: u32,
    levels: u32,
    index_bits: u32,
}

/// Why there is no such machine.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum PlxError {
    /// P or X is not a power of two.
    NotAPowerOfTwo,
    /// P/X is less than two: a level would tell nothing apart.
    NoChoice,
    /// L is zero.
    NoLevels,
    /// Virtual addresses would have more than 64 bits.
    TooWide {
        /// So many.
        virtual_bits: u64,
    },
}

impl fmt::Display for PlxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlxError::NotAPowerOfTwo => f.write_str("the bytes are not a power of two"),
            PlxError::NoChoice => f.write_str("a page has room for fewer than two entries"),
            PlxError::NoLevels => f.write_str("there are no levels"),
            PlxError::TooWide { virtual_bits } => {
                write!(f, "{virtual_bits} virtual bits are more than 64")
            }
        }
    }
}

impl core::error::Error for PlxError {}

impl Plx {
    /// The machine with pages of `page_bytes` (P), `levels` (L), and entries of `entry_bytes` (X).
    ///
    /// # Errors
    /// [`PlxError`].
    pub fn new(page_bytes: u64, levels: u32, entry_bytes: u64) -> Result<Plx, PlxError> {
        let index_bits = Plx::index_bits_of(page_bytes, entry_bytes)?;
        let page_bits = page_bytes.ilog2();
        if levels == 0 {
            return Err(PlxError::NoLevels);
        }
        // A 32-bit number times at most 63, and 63 more.
        let virtual_bits = u64::from(page_bits) + u64::from(levels) * u64::from(index_bits);
        if virtual_bits > MAX_VIRTUAL_BITS {
            return Err(PlxError::TooWide { virtual_bits });
        }
        Ok(Plx {
            page_bits,
            levels,
            index_bits,
        })
    }

    /// The levels (L) that it takes to translate addresses of `virtual_bits` bits. The root may be larger than it has
    /// to be then.
    ///
    /// # Errors
    /// [`PlxError`], but not [`PlxError::NoLevels`].
    pub fn levels_for(
        virtual_bits: u32,
        page_bytes: u64,
        entry_bytes: u64,
    ) -> Result<u32, PlxError> {
        let index_bits = Plx::index_bits_of(page_bytes, entry_bytes)?;
        let virtual_bits = u64::from(virtual_bits);
        if virtual_bits > MAX_VIRTUAL_BITS {
            return Err(PlxError::TooWide { virtual_bits });
        }
        let page_number_bits = (virtual_bits as u32).saturating_sub(page_bytes.ilog2());
        Ok(page_number_bits.div_ceil(index_bits).max(1))
    }

    /// log2(P/X).
    fn index_bits_of(page_bytes: u64, entry_bytes: u64) -> Result<u32, PlxError> {
        if !page_bytes.is_power_of_two() || !entry_bytes.is_power_of_two() {
            return Err(PlxError::NotAPowerOfTwo);
        }
        match page_bytes / entry_bytes {
            0 | 1 => Err(PlxError::NoChoice),
            entries => Ok(entries.ilog2()),
        }
    }

    /// P, the bytes of a page.
    pub fn page_bytes(self) -> u64 {
        1 << self.page_bits
    }

    /// log2 P, the bits of an offset.
    pub fn page_bits(self) -> u32 {
        self.page_bits
    }

    /// L.
    pub fn levels(self) -> u32 {
        self.levels
    }

    /// X, the bytes of an entry.
    pub fn entry_bytes(self) -> u64 {
        1 << (self.page_bits - self.index_bits)
    }

    /// P/X, the entries of a table.
    pub fn entries(self) -> u64 {
        1 << self.index_bits
    }

    /// log2(P/X), the bits of an index.
    pub fn index_bits(self) -> u32 {
        self.index_bits
    }

    /// The bits of a virtual address.
    pub fn virtual_bits(self) -> u32 {
        self.page_bits + self.levels * self.index_bits
    }

    /// The bytes of a page table that maps one page.
    pub fn least_bytes(self) -> u64 {
        u64::from(self.levels) * self.page_bytes()
    }

    /// The bytes of a page table that maps everything.
    pub fn greatest_bytes(self) -> u64 {
        (0..self.levels)
            .map(|level| self.page_bytes() << (level * self.index_bits))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Plx, PlxError};
    use crate::{Geometry, Ia32, Pae, Tag, Teensy, X86};

    fn virtual_bits(page_bytes: u64, levels: u32, entry_bytes: u64) -> u32 {
        let plx = Plx::new(page_bytes, levels, entry_bytes);
        plx.expect("it should be possible").virtual_bits()
    }

    #[test]
    fn virtual_bits_are_those_of_the_page_and_of_each_level() {
        assert_eq!(virtual_bits(4096, 4, 8), 12 + 4 * 9);
        assert_eq!(virtual_bits(4096, 5, 8), 57);
        assert_eq!(virtual_bits(4096, 2, 4), 12 + 2 * 10);
        assert_eq!(virtual_bits(256, 2, 2), 8 + 2 * 7);
        assert_eq!(virtual_bits(1 << 14, 3, 8), 14 + 3 * 11);
        assert_eq!(virtual_bits(16, 1, 8), 5);
    }

    #[test]
    fn as_many_levels_are_needed_as_cover_the_bits() {
        for (bits, levels) in [
            (48, 4),
            (49, 5),
            (57, 5),
            (64, 6),
            (21, 1),
            (22, 2),
            (12, 1),
        ] {
            assert_eq!(Plx::levels_for(bits, 4096, 8), Ok(levels), "{bits} bits");
        }
        assert_eq!(Plx::levels_for(0, 4096, 8), Ok(1));
        assert_eq!(Plx::levels_for(32, 4096, 4), Ok(2));
        assert_eq!(Plx::levels_for(64, 2, 1), Ok(63));
    }

    #[test]
    fn sizes_of_the_formulas_are_those_of_the_machines_whose_tables_are_pages() {
        #[track_caller]
        fn check<G: Geometry>(machine: G, greatest_bytes: u64) {
            let plx = machine.plx().expect("it should be possible");
            let least = machine.least_table(1).expect("one page should fit");
            let all = machine.greatest_table(machine.pages());
            assert_eq!(plx.virtual_bits(), machine.virtual_bits());
            assert_eq!(plx.least_bytes(), least.bytes);
            assert_eq!(plx.greatest_bytes(), greatest_bytes);
            assert_eq!(all.map(|all| all.bytes), Ok(greatest_bytes));
        }
        check(X86::FOUR_LEVELS, (513 << 30) + (2 << 20) + (4 << 10));
        check(X86::FIVE_LEVELS, 282_025_808_367_616);
        check(Ia32, (4 << 20) + (4 << 10));
        check(Tag, 33_024);
    }

    #[test]
    fn a_small_root_has_fewer_bits_than_the_formula() {
        assert_eq!(Pae.plx().map(Plx::virtual_bits), Ok(39));
        assert_eq!(Teensy.plx().map(Plx::virtual_bits), Ok(12 + 11));
    }

    #[test]
    fn the_widest_machines_have_sizes() {
        // 2^63 + 2^62 + ... + 2.
        let widest = Plx::new(2, 63, 1).expect("64 bits are possible");
        assert_eq!(widest.greatest_bytes(), u64::MAX - 1);
        let largest_page = Plx::new(1 << 63, 1, 1 << 62).expect("64 bits are possible");
        assert_eq!(largest_page.greatest_bytes(), 1 << 63);
    }

    #[test]
    fn impossible_machines_are_errors() {
        for (page_bytes, levels, entry_bytes, error) in [
            (4095, 4, 8, PlxError::NotAPowerOfTwo),
            (4096, 4, 6, PlxError::NotAPowerOfTwo),
            (0, 4, 8, PlxError::NotAPowerOfTwo),
            (4096, 4, 0, PlxError::NotAPowerOfTwo),
            (8, 4, 8, PlxError::NoChoice),
            (8, 4, 16, PlxError::NoChoice),
            (4096, 0, 8, PlxError::NoLevels),
            (4096, 6, 8, PlxError::TooWide { virtual_bits: 66 }),
            (1 << 63, 1, 1, PlxError::TooWide { virtual_bits: 126 }),
            (
                1 << 63,
                u32::MAX,
                1,
                PlxError::TooWide {
                    virtual_bits: 63 * (1 << 32),
                },
            ),
        ] {
            assert_eq!(Plx::new(page_bytes, levels, entry_bytes), Err(error));
        }
        assert_eq!(
            Plx::levels_for(65, 4096, 8),
            Err(PlxError::TooWide { virtual_bits: 65 })
        );
        assert_eq!(Plx::levels_for(64, 8, 8), Err(PlxError::NoChoice));
    }
}
