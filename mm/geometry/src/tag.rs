//! TAG, an exercise's machine of small pages with two levels.
//!
//! Given are pages of 256 bytes and the two levels. The rest is chosen here so that it makes a machine: entries of 2
//! bytes, of which the high byte is the number of a physical page and the low byte has the flags, those of x86 (bit 0
//! *present*, 1 *writable*, 2 *user*). So a table that is a page has 128 entries, a virtual address 7 + 7 + 8 = 22
//! bits, and a physical one 16: 4 MiB of address space over 64 KiB of memory. A complete page table would take more
//! than half of that memory.
//!
//! How the processor takes the rights is as on [`Teensy`](crate::Teensy).

use crate::fault::{Protection, Rights, Rules};
use crate::geometry::{Decoded, Geometry};
use crate::x86::{self, PRESENT};

/// The TAG machine: 7 + 7 + 8 bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Tag;

/// The bits of an entry that hold a physical address.
const TAG_ADDRESS_BITS: u64 = 0xff00;

impl Geometry for Tag {
    fn page_bits(self) -> u32 {
        8
    }

    fn levels(self) -> u32 {
        2
    }

    fn index_bits(self, _level: u32) -> u32 {
        7
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

    fn decode(self, raw: u64, level: u32) -> Decoded {
        let address = raw & TAG_ADDRESS_BITS;
        if raw & PRESENT == 0 {
            Decoded::Empty
        } else if level == 1 {
            Decoded::Leaf(address)
        } else {
            Decoded::Table(address)
        }
    }
}

impl Protection for Tag {
    fn rules(self) -> Rules {
        Rules::BASIC
    }

    fn rights(self, raw: u64, _level: u32) -> Rights {
        Rights {
            is_executable: true,
            ..x86::rights_of(raw)
        }
    }

    fn encode(self, decoded: Decoded, rights: Rights, _level: u32) -> u64 {
        match decoded {
            Decoded::Empty => 0,
            Decoded::Table(start) | Decoded::Leaf(start) => {
                start & TAG_ADDRESS_BITS | x86::low_flags(rights)
            }
        }
    }
}
