//! What holds for every machine.

extern crate std;

mod faults;

use std::collections::BTreeMap;

use crate::{
    Decoded, Geometry, Ia32, Lookup, Pae, Protection, Rights, Tag, Teensy, X86,
    virtual_to_physical, walk,
};

/// A small machine: 256-byte pages, two levels with 64 and 16 entries of 4 bytes, so 18-bit addresses.
#[derive(Copy, Clone)]
pub(crate) struct Small;

pub(crate) const PRESENT: u64 = 1 << 3;

impl Geometry for Small {
    fn page_bits(self) -> u32 {
        8
    }
    fn levels(self) -> u32 {
        2
    }
    fn index_bits(self, level: u32) -> u32 {
        if level == 1 { 6 } else { 4 }
    }
    fn entry_bytes(self) -> u32 {
        4
    }
    fn physical_bits(self) -> u32 {
        32
    }
    fn highest_leaf_level(self) -> u32 {
        1
    }
    fn is_sign_extended(self) -> bool {
        false
    }
    fn decode(self, raw: u64, level: u32) -> Decoded {
        match raw & !0xff {
            _ if raw & PRESENT == 0 => Decoded::Empty,
            page if level == 1 => Decoded::Leaf(page),
            table => Decoded::Table(table),
        }
    }
}

/// Entries by the physical addresses of their tables and their indices; the others are zero.
struct Memory<G> {
    machine: G,
    entries: BTreeMap<(u64, usize), u64>,
}

impl<G: Geometry> Memory<G> {
    fn with(machine: G, entries: &[(u64, usize, u64)]) -> Memory<G> {
        let entries = entries
            .iter()
            .map(|&(table, index, raw)| ((table, index), raw));
        Memory {
            machine,
            entries: entries.collect(),
        }
    }

    fn load(&self, at: Lookup) -> u64 {
        let raw = self.entries.get(&(at.table, at.index));
        raw.copied().unwrap_or_default()
    }

    /// Through the root at 0x1000.
    fn translate(&self, address: u64) -> Option<u64> {
        virtual_to_physical(self.machine, 0x1000, address, |at| self.load(at))
    }
}

/// Checks what [`Geometry`] asks of a machine, and its widths.
#[track_caller]
fn check_shape<G: Geometry>(machine: G, virtual_bits: u32, physical_bits: u32) {
    let widths = (machine.virtual_bits(), machine.physical_bits());
    assert_eq!(widths, (virtual_bits, physical_bits));
    let entry_bytes = u64::from(machine.entry_bytes());
    assert!(virtual_bits <= 64 && physical_bits <= 64);
    assert!(entry_bytes.is_power_of_two() && 2 * entry_bytes <= 1 << machine.page_bits());
    for level in 1..=machine.levels() {
        assert!(machine.index_bits(level) >= 1);
        assert_eq!(machine.entries(level), 1 << machine.index_bits(level));
        assert!(machine.table_bytes(level) <= 1 << machine.page_bits());
    }
    assert!((1..=machine.levels()).contains(&machine.highest_leaf_level()));
    assert_eq!(machine.pages(), 1 << (virtual_bits - machine.page_bits()));
}

#[test]
fn every_machine_has_the_shape_that_its_table_says() {
    check_shape(X86::FOUR_LEVELS, 48, 52);
    check_shape(X86::FIVE_LEVELS, 57, 52);
    check_shape(Pae, 32, 52);
    check_shape(Ia32, 32, 32);
    check_shape(Teensy, 16, 20);
    check_shape(Tag, 22, 16);
    check_shape(Small, 18, 32);
    assert_eq!([1, 2, 3].map(|level| Pae.entries(level)), [512, 512, 4]);
    assert_eq!(
        [1, 2, 3].map(|level| Pae.span(level)),
        [4 << 10, 2 << 20, 1 << 30]
    );
    assert_eq!([1, 2].map(|level| Ia32.span(level)), [4 << 10, 4 << 20]);
    assert_eq!([1, 2].map(|level| Tag.span(level)), [256, 32 << 10]);
    assert_eq!((Teensy.entries(1), Teensy.table_bytes(1)), (16, 32));
}

/// Encodes leaves and tables with all rights and none, and decodes them.
#[track_caller]
fn check_encoding<M: Protection>(machine: M) {
    let rights = Rights {
        is_writable: false,
        is_user: false,
        is_executable: !machine.rules().has_no_execute,
    };
    let check = |decoded, level| {
        for rights in [Rights::ALL, rights] {
            let raw = machine.encode(decoded, rights, level);
            assert_eq!(machine.decode(raw, level), decoded, "level {level}");
            let has_rights = machine.index_bits(level) > 2; // all but the root of PAE
            let expected = if has_rights { rights } else { Rights::ALL };
            assert_eq!(machine.rights(raw, level), expected, "level {level}");
        }
        assert_eq!(machine.encode(Decoded::Empty, Rights::ALL, level), 0);
    };
    for level in 1..=machine.levels() {
        let highest_page = (1 << machine.physical_bits()) - machine.span(1);
        if level <= machine.highest_leaf_level() {
            let highest_leaf = highest_page & !(machine.span(level) - 1);
            check(Decoded::Leaf(highest_leaf), level);
        }
        if level > 1 {
            check(Decoded::Table(highest_page), level);
        }
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    check_encoding(X86::FOUR_LEVELS);
    check_encoding(X86::FIVE_LEVELS);
    check_encoding(Pae);
    check_encoding(Ia32);
    check_encoding(Teensy);
    check_encoding(Tag);
}

#[test]
fn entries_are_encoded_as_the_manuals_and_the_exercises_say() {
    let (table, page) = (Decoded::Table(0x2000), Decoded::Leaf(0x80_0000));
    let none = Rights {
        is_writable: false,
        is_user: false,
        is_executable: false,
    };
    assert_eq!(X86::FOUR_LEVELS.encode(page, Rights::ALL, 1), 0x80_0007);
    assert_eq!(X86::FOUR_LEVELS.encode(page, none, 2), 1 << 63 | 0x80_0081);
    assert_eq!(Pae.encode(table, Rights::ALL, 2), 0x2007);
    assert_eq!(Pae.encode(table, none, 3), 0x2001);
    assert_eq!(Ia32.encode(page, none, 2), 0x80_0081);
    assert_eq!(Teensy.encode(Decoded::Leaf(0x2_a000), none, 1), 0x2a10);
    assert_eq!(
        Teensy.encode(Decoded::Leaf(0x2_a000), Rights::ALL, 1),
        0x2a98
    );
    assert_eq!(Tag.encode(table, none, 2), 0x2001);
}

#[test]
fn x86_with_five_levels_translates_an_address_of_57_bits() {
    let address = (17 << 48) | (3 << 39) | (5 << 30) | (7 << 21) | (11 << 12) | 0x123;
    let memory = Memory::with(
        X86::FIVE_LEVELS,
        &[
            (0x1000, 17, 0x2007),
            (0x2000, 3, 0x3007),
            (0x3000, 5, 0x4007),
            (0x4000, 7, 0x5007),
            (0x5000, 11, 0xabc_d007),
        ],
    );
    assert_eq!(memory.translate(address), Some(0xabc_d123));
    assert_eq!(memory.translate(address | (1 << 56)), None); // not canonical
}

#[test]
fn pae_translates_beyond_4_gib_of_memory_and_through_a_big_page() {
    let memory = Memory::with(
        Pae,
        &[
            (0x1000, 3, 0x2001),
            (0x2000, 511, 0x3007),
            (0x3000, 511, 0xf_1234_5007),
            (0x2000, 1, 0x7_0040_1087), // with the bit of the page attributes,
        ],
    );
    assert_eq!(memory.translate(0xffff_f678), Some(0xf_1234_5678));
    assert_eq!(memory.translate(0xc03a_bcde), Some(0x7_005a_bcde));
    assert_eq!(memory.translate(0x1_c03a_bcde), None); // 33 bits
}

#[test]
fn the_root_of_pae_has_no_big_pages() {
    assert_eq!(Pae.decode(0x4000_0081, 3), Decoded::Table(0x4000_0000));
}

#[test]
fn classic_x86_translates_through_both_sizes_of_page() {
    let memory = Memory::with(
        Ia32,
        &[
            (0x1000, 0x301, 0x0080_1087), // with the bit of the page attributes,
            (0x1000, 0x3ff, 0x2007),
            (0x2000, 1, 0xb_8007),
        ],
    );
    assert_eq!(memory.translate(0xc07a_bcde), Some(0x00ba_bcde));
    assert_eq!(memory.translate(0xffc0_1fff), Some(0xb_8fff));
    assert_eq!(memory.translate(0xffc0_2000), None);
}

#[test]
fn teensy_translates_with_one_lookup() {
    let memory = Memory::with(Teensy, &[(0x1000, 3, 0x2a98), (0x1000, 4, 0x2b88)]);
    assert_eq!(memory.translate(0x3fed), Some(0x2_afed));
    assert_eq!(memory.translate(0x4fed), None); // bit 4 is not set
    assert_eq!(memory.translate(0x1_3fed), None); // 17 bits
}

#[test]
fn tag_translates_with_two_lookups() {
    let address = (0x54 << 15) | (0x5a << 8) | 0x7c;
    let memory = Memory::with(Tag, &[(0x1000, 0x54, 0x0203), (0x200, 0x5a, 0xfe07)]);
    assert_eq!(memory.translate(address), Some(0xfe7c));
    assert_eq!(memory.translate(address ^ (1 << 8)), None);
}

#[test]
fn the_rights_of_a_walk_are_those_that_all_its_entries_grant() {
    let memory = Memory::with(Tag, &[(0x1000, 0, 0x0203), (0x200, 0, 0xfe05)]);
    let mut rights = Rights::ALL;
    walk(Tag, 0x1000, 0, |at| {
        let raw = memory.load(at);
        rights = rights.and(Tag.rights(raw, at.level));
        raw
    });
    // Writable by the upper entry only, the user's by the lower only.
    assert!(!rights.is_writable && !rights.is_user && rights.is_executable);
}
