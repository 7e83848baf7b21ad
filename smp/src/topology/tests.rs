//! Machines made of bytes: root pointer, root table, a table of another kind, and the table of interrupt controllers.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Topology, TopologyError, discover};

const BASE: usize = 0xe_0000;
const RSDP_AT: usize = BASE;
const ROOT_AT: usize = BASE + 0x40;
const OTHER_AT: usize = BASE + 0xc0;
const MADT_AT: usize = BASE + 0x100;

const ENABLED: u32 = 1;
const ONLINE_CAPABLE: u32 = 2;

fn local_apic(id: u8, flags: u32) -> Vec<u8> {
    [&[0, 8, id, id], flags.to_le_bytes().as_slice()].concat()
}

fn local_x2apic(id: u32, flags: u32) -> Vec<u8> {
    [
        &[9, 16, 0, 0],
        id.to_le_bytes().as_slice(),
        &flags.to_le_bytes(),
        &id.to_le_bytes(),
    ]
    .concat()
}

fn io_apic() -> Vec<u8> {
    vec![1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]
}

/// Makes the sum of the bytes zero.
fn seal(bytes: &mut [u8], checksum_at: usize) {
    bytes[checksum_at] = 0;
    bytes[checksum_at] = bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_sub(*byte));
}

fn table(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = [
        name,
        (36 + body.len() as u32).to_le_bytes().as_slice(),
        &[1, 0],
        b"ARGONTARGONAUT",
    ]
    .concat();
    table.extend([0; 12]);
    table.extend(body);
    seal(&mut table, 9);
    table
}

fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [0xfee0_0000_u32.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    table(b"APIC", &[fixed, entries.concat()].concat())
}

struct Machine {
    memory: Vec<u8>,
}

impl Machine {
    /// A machine with ACPI 2 tables.
    fn new(entries: &[Vec<u8>]) -> Machine {
        let mut machine = Machine { memory: Vec::new() };
        let addresses = [OTHER_AT as u64, MADT_AT as u64]
            .map(u64::to_le_bytes)
            .concat();
        machine.put(ROOT_AT, &table(b"XSDT", &addresses));
        machine.put(OTHER_AT, &table(b"FACP", &[0; 20]));
        machine.put(MADT_AT, &madt(entries));
        let mut pointer = [
            b"RSD PTR \0ARGONT".as_slice(),
            &[2],
            &[0; 4],
            &36_u32.to_le_bytes(),
        ]
        .concat();
        pointer.extend((ROOT_AT as u64).to_le_bytes());
        pointer.extend([0; 4]);
        seal(&mut pointer[..20], 8);
        seal(&mut pointer, 32);
        machine.put(RSDP_AT, &pointer);
        machine
    }

    /// The same with ACPI 1 tables.
    fn old(entries: &[Vec<u8>]) -> Machine {
        let mut machine = Machine::new(entries);
        let addresses = [OTHER_AT as u32, MADT_AT as u32]
            .map(u32::to_le_bytes)
            .concat();
        machine.put(ROOT_AT, &table(b"RSDT", &addresses));
        let mut pointer = [
            b"RSD PTR \0ARGONT".as_slice(),
            &[0],
            &(ROOT_AT as u32).to_le_bytes(),
        ]
        .concat();
        seal(&mut pointer, 8);
        machine.put(RSDP_AT, &pointer);
        machine
    }

    fn put(&mut self, address: usize, bytes: &[u8]) {
        let start = address - BASE;
        self.memory
            .resize(self.memory.len().max(start + bytes.len()), 0);
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Changes bytes of the table of interrupt controllers, whose sum stays right.
    fn change_madt(mut self, at: usize, bytes: &[u8]) -> Machine {
        let start = MADT_AT - BASE;
        self.put(MADT_AT + at, bytes);
        let length =
            u32::from_le_bytes(self.memory[start + 4..start + 8].try_into().unwrap()) as usize;
        let end = (start + length.max(36)).min(self.memory.len());
        seal(&mut self.memory[start..end], 9);
        self
    }

    fn discover(&self, boot_apic_id: u32) -> Result<Topology, TopologyError> {
        let map = |address: usize, length: usize| {
            let start = address.wrapping_sub(BASE);
            match start.checked_add(length) {
                Some(end) if end <= self.memory.len() => self.memory[start..].as_ptr(),
                _ => core::ptr::null(),
            }
        };
        // SAFETY: pointers into the machine's memory, which lives on and does not change.
        unsafe { discover(RSDP_AT, boot_apic_id, map) }
    }
}

#[test]
fn a_machine_with_one_cpu_has_no_others() {
    let machine = Machine::new(&[local_apic(0, ENABLED), io_apic()]);
    assert_eq!(
        machine.discover(0),
        Ok(Topology {
            boot_apic_id: 0,
            others: vec![],
            disabled: 0,
            too_many: 0
        })
    );
}

#[test]
fn the_boot_cpu_is_found_by_its_own_id_and_the_rest_stay_in_order() {
    let machine = Machine::new(&[6, 2, 0, 4].map(|id| local_apic(id, ENABLED)));
    assert_eq!(machine.discover(2).unwrap().others, [6, 0, 4]);
}

#[test]
fn old_tables_with_short_addresses_are_read_too() {
    let machine = Machine::old(&[0, 1, 2, 3].map(|id| local_apic(id, ENABLED)));
    assert_eq!(machine.discover(0).unwrap().others, [1, 2, 3]);
}

#[test]
fn all_of_255_cpus_are_found() {
    let entries: Vec<_> = (0..255)
        .map(|id| local_apic(id, ENABLED))
        .chain([io_apic()])
        .collect();
    let topology = Machine::new(&entries).discover(0).unwrap();
    assert!(topology.others.iter().copied().eq(1..255));
}

#[test]
fn cpus_with_large_ids_come_from_their_own_kind_of_entry() {
    let entries: Vec<_> = (0..4)
        .map(|id| local_apic(id, ENABLED))
        .chain([local_x2apic(300, ENABLED)])
        .collect();
    assert_eq!(
        Machine::new(&entries).discover(0).unwrap().others,
        [1, 2, 3, 300]
    );
}

#[test]
fn a_cpu_named_twice_is_listed_once() {
    let entries = [
        local_apic(0, ENABLED),
        local_apic(1, ENABLED),
        local_x2apic(1, ENABLED),
        local_x2apic(0, ENABLED),
    ];
    assert_eq!(Machine::new(&entries).discover(0).unwrap().others, [1]);
}

#[test]
fn cpus_that_are_off_or_not_plugged_in_are_counted_but_not_listed() {
    let entries = [
        local_apic(0, ENABLED),
        local_apic(1, 0),
        local_apic(2, ONLINE_CAPABLE),
        local_x2apic(3, 0),
    ];
    let topology = Machine::new(&entries).discover(0).unwrap();
    assert_eq!((topology.others.len(), topology.disabled), (0, 3));
}

#[test]
fn the_ids_that_mean_everybody_are_nobody() {
    let entries = [
        local_apic(0, ENABLED),
        local_apic(0xff, ENABLED),
        local_x2apic(u32::MAX, ENABLED),
    ];
    assert_eq!(Machine::new(&entries).discover(0).unwrap().others, []);
}

#[test]
fn cpus_beyond_the_largest_machine_are_counted_but_not_listed() {
    let entries: Vec<_> = (0..1030).map(|id| local_x2apic(id, ENABLED)).collect();
    let topology = Machine::new(&entries).discover(5).unwrap();
    assert_eq!((topology.possible_cpus(), topology.too_many), (1024, 6));
}

#[test]
fn broken_tables_are_errors() {
    let good = || Machine::new(&[local_apic(0, ENABLED), local_apic(1, ENABLED)]);
    let bad_length = Err(TopologyError::BadLength(*b"APIC"));
    // Entries begin at 44 and have 8 bytes.
    assert_eq!(
        good().change_madt(53, &[0]).discover(0),
        bad_length,
        "an entry of length zero"
    );
    assert_eq!(
        good().change_madt(53, &[1]).discover(0),
        bad_length,
        "an entry without room for its header"
    );
    assert_eq!(
        good().change_madt(53, &[4]).discover(0),
        bad_length,
        "an entry shorter than its kind"
    );
    assert_eq!(
        good().change_madt(53, &[9]).discover(0),
        bad_length,
        "an entry that ends behind the table"
    );
    assert_eq!(
        good().change_madt(4, &[59]).discover(0),
        bad_length,
        "a table that ends in an entry"
    );
    assert_eq!(
        good().change_madt(4, &[40]).discover(0),
        bad_length,
        "a table without its fixed part"
    );
    assert_eq!(
        good().change_madt(4, &[7]).discover(0),
        bad_length,
        "a table without its header"
    );
}

#[test]
fn a_table_that_ends_beyond_memory_is_an_error() {
    let machine = Machine::new(&[local_apic(0, ENABLED)]).change_madt(4, &[0, 0x10]);
    assert_eq!(
        machine.discover(0),
        Err(TopologyError::Unreadable(MADT_AT as u64))
    );
}

#[test]
fn a_changed_byte_is_noticed_in_each_table() {
    for (at, name) in [
        (RSDP_AT + 10, b"RSD "),
        (ROOT_AT + 30, b"XSDT"),
        (MADT_AT + 46, b"APIC"),
    ] {
        let mut machine = Machine::new(&[local_apic(0, ENABLED)]);
        machine.memory[at - BASE] ^= 4;
        assert_eq!(machine.discover(0), Err(TopologyError::BadChecksum(*name)));
    }
}

#[test]
fn missing_tables_are_errors() {
    let mut no_pointer = Machine::new(&[]);
    no_pointer.memory[0] = b'?';
    assert_eq!(no_pointer.discover(0), Err(TopologyError::NoRootPointer));

    let mut no_madt = Machine::new(&[]);
    no_madt.put(MADT_AT, &table(b"HPET", &[0; 20]));
    assert_eq!(no_madt.discover(0), Err(TopologyError::NoMadt));

    let mut empty_place = Machine::new(&[]);
    empty_place.put(ROOT_AT, &table(b"XSDT", &0_u64.to_le_bytes()));
    assert_eq!(empty_place.discover(0), Err(TopologyError::Unreadable(0)));
}

#[test]
fn a_root_table_of_odd_length_is_an_error() {
    let mut machine = Machine::new(&[]);
    machine.put(ROOT_AT, &table(b"XSDT", &[0; 12]));
    assert_eq!(machine.discover(0), Err(TopologyError::BadLength(*b"XSDT")));
}

/// Makes the sums of all three tables right, whatever is in them, as far as their lengths lie in memory.
fn seal_all(memory: &mut [u8]) {
    seal(&mut memory[..20], 8);
    for (at, len_at, checksum_at) in [(RSDP_AT, 20, 32), (ROOT_AT, 4, 9), (MADT_AT, 4, 9)] {
        let rest = &mut memory[at - BASE..];
        let len = u32::from_le_bytes(rest[len_at..len_at + 4].try_into().unwrap()) as usize;
        if let Some(table) = rest
            .get_mut(..len)
            .filter(|table| table.len() > checksum_at)
        {
            seal(table, checksum_at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn damaged_tables_are_an_error_or_name_each_cpu_once(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_sealed in any::<bool>(),
    ) {
        let entries = [local_apic(0, ENABLED), local_x2apic(300, ENABLED), io_apic(), local_apic(1, ENABLED), local_apic(2, 0)];
        let mut machine = Machine::new(&entries);
        for (place, byte) in damage {
            let len = machine.memory.len();
            machine.memory[place.index(len)] = byte;
        }
        if is_sealed {
            seal_all(&mut machine.memory);
        }
        if let Ok(Topology { mut others, .. }) = machine.discover(0) {
            let count = others.len();
            others.sort_unstable();
            others.dedup();
            prop_assert_eq!(others.len(), count);
            prop_assert!(!others.contains(&0));
        }
    }
}
