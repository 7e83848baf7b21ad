//! The page tables of 32-bit x86: the classic ones with entries of 4 bytes, and PAE, which doubled them.
//!
//! Classic: two levels of 10 bits, leaves of 4 KiB and 4 MiB, and physical addresses of 32 bits, so PSE-36, which found
//! room for 8 bits more in a big leaf, is not here. PAE: entries of 8 bytes, for more memory than 4 GiB, so that a
//! table has half the entries; the two bits that this leaves over are a third level, a root of four entries, which
//! takes 32 bytes. Its entries have no rights, and map nothing themselves.
//!
//! Source: Intel SDM volume 3, "32-Bit Paging" and "PAE Paging".

use crate::fault::{Protection, Rights, Rules};
use crate::geometry::{Decoded, Geometry};
use crate::x86::{self, ADDRESS_BITS, HUGE, PRESENT};

/// Classic 32-bit x86: 10 + 10 + 12 bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Ia32;

impl Geometry for Ia32 {
    fn page_bits(self) -> u32 {
        12
    }

    fn levels(self) -> u32 {
        2
    }

    fn index_bits(self, _level: u32) -> u32 {
        10
    }

    fn entry_bytes(self) -> u32 {
        4
    }

    fn physical_bits(self) -> u32 {
        32
    }

    fn highest_leaf_level(self) -> u32 {
        2
    }

    fn is_sign_extended(self) -> bool {
        false
    }

    fn decode(self, raw: u64, level: u32) -> Decoded {
        let address = raw & !0xfff;
        if raw & PRESENT == 0 {
            Decoded::Empty
        } else if level == 1 || raw & HUGE != 0 {
            Decoded::Leaf(address & !(self.span(level) - 1))
        } else {
            Decoded::Table(address)
        }
    }
}

impl Protection for Ia32 {
    fn rules(self) -> Rules {
        Rules::BASIC
    }

    fn rights(self, raw: u64, _level: u32) -> Rights {
        x86::rights_of(raw)
    }

    fn encode(self, decoded: Decoded, rights: Rights, level: u32) -> u64 {
        x86::encode(decoded, rights, level) & u64::from(u32::MAX)
    }
}

/// PAE: 2 + 9 + 9 + 12 bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Pae;

impl Geometry for Pae {
    fn page_bits(self) -> u32 {
        12
    }

    fn levels(self) -> u32 {
        3
    }

    fn index_bits(self, level: u32) -> u32 {
        if level == 3 { 2 } else { 9 }
    }

    fn entry_bytes(self) -> u32 {
        8
    }

    fn physical_bits(self) -> u32 {
        52
    }

    fn highest_leaf_level(self) -> u32 {
        2
    }

    fn is_sign_extended(self) -> bool {
        false
    }

    fn decode(self, raw: u64, level: u32) -> Decoded {
        let address = raw & ADDRESS_BITS;
        if raw & PRESENT == 0 {
            Decoded::Empty
        } else if level == 1 || level == 2 && raw & HUGE != 0 {
            Decoded::Leaf(address & !(self.span(level) - 1))
        } else {
            Decoded::Table(address)
        }
    }
}

impl Protection for Pae {
    /// With NX, which a 64-bit processor has for PAE too, and nothing that came later.
    fn rules(self) -> Rules {
        Rules {
            has_no_execute: true,
            ..Rules::BASIC
        }
    }

    fn rights(self, raw: u64, level: u32) -> Rights {
        if level == self.levels() {
            Rights::ALL
        } else {
            x86::rights_of(raw)
        }
    }

    fn encode(self, decoded: Decoded, rights: Rights, level: u32) -> u64 {
        match decoded {
            // The bits of rights have to be zero there.
            Decoded::Table(table) if level == self.levels() => table & ADDRESS_BITS | PRESENT,
            _ => x86::encode(decoded, rights, level),
        }
    }
}
