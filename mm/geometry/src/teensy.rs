//! Teensy, an exercise's machine of 16 bits with one level.
//!
//! Given are the 16 bits, the one level, and three bits of an entry: 4 is *present*, 7 *writable*, 3 *user*. The rest
//! is chosen here so that it makes a machine: pages of 4 KiB, so that the 16 bits are an index of 4 and an offset of
//! 12, and entries of 2 bytes, whose low byte has the flags and whose high byte is the number of a physical page. So
//! there are 20 bits of physical address, 1 MiB, of which a process sees 64 KiB at a time; and its whole page table is
//! 32 bytes.
//!
//! How the processor takes the rights is chosen too: the kernel must not write what is not writable, but may read and
//! write what is the user's, and reading is executing.

use crate::fault::{Protection, Rights, Rules};
use crate::geometry::{Decoded, Geometry};

/// The Teensy machine: 4 + 12 bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Teensy;

const USER: u64 = 1 << 3;
const PRESENT: u64 = 1 << 4;
const WRITABLE: u64 = 1 << 7;

/// Where the number of the physical page begins.
const PAGE_NUMBER_SHIFT: u32 = 8;
const PAGE_NUMBER_MAX: u64 = 0xff;

impl Geometry for Teensy {
    fn page_bits(self) -> u32 {
        12
    }

    fn levels(self) -> u32 {
        1
    }

    fn index_bits(self, _level: u32) -> u32 {
        4
    }

    fn entry_bytes(self) -> u32 {
        2
    }

    fn physical_bits(self) -> u32 {
        20
    }

    fn highest_leaf_level(self) -> u32 {
        1
    }

    fn is_sign_extended(self) -> bool {
        false
    }

    fn decode(self, raw: u64, _level: u32) -> Decoded {
        if raw & PRESENT == 0 {
            Decoded::Empty
        } else {
            let page_number = raw >> PAGE_NUMBER_SHIFT & PAGE_NUMBER_MAX;
            Decoded::Leaf(page_number << self.page_bits())
        }
    }
}

impl Protection for Teensy {
    fn rules(self) -> Rules {
        Rules::BASIC
    }

    fn rights(self, raw: u64, _level: u32) -> Rights {
        Rights {
            is_writable: raw & WRITABLE != 0,
            is_user: raw & USER != 0,
            is_executable: true,
        }
    }

    fn encode(self, decoded: Decoded, rights: Rights, _level: u32) -> u64 {
        // There are no tables below the root: a leaf is all that an entry can say.
        let (Decoded::Leaf(start) | Decoded::Table(start)) = decoded else {
            return 0;
        };
        let page_number = start >> self.page_bits() & PAGE_NUMBER_MAX;
        let writable = if rights.is_writable { WRITABLE } else { 0 };
        let user = if rights.is_user { USER } else { 0 };
        page_number << PAGE_NUMBER_SHIFT | PRESENT | writable | user
    }
}
