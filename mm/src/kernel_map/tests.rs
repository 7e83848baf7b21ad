//! The kernel's map, built for machines larger than the test machine: nothing looks at what is mapped.

use core::mem::ManuallyDrop;
use std::vec::Vec;

use super::build::build_table;
use super::{KernelLayout, Section, WINDOW_START};
use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::flush::{ActiveCpus, FlushBatch, SpaceId};
use crate::frame::{self, FrameKind, MemoryRange};
use crate::hw::host::machine;
use crate::page_table::{PageTable, Perm, PtIter, VmIter, VmIterMut};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MEMORY: [MemoryRange; 3] = [
    MemoryRange::new(0, 0x9_fc00),
    MemoryRange::new(MIB, 2 * GIB),
    MemoryRange::new(4 * GIB, 6 * GIB + 6 * MIB),
];
const LOCAL_APIC: u64 = 0xfee0_0000;
const DEVICES: [MemoryRange; 1] = [MemoryRange::new(LOCAL_APIC, LOCAL_APIC + 0x1000)];
const TEXT: u64 = 2 * MIB;
const CONSTANTS: u64 = TEXT + 0x5000;
const SECTIONS: [Section; 2] = [
    Section::code(MemoryRange::new(TEXT, CONSTANTS)),
    Section::constants(MemoryRange::new(CONSTANTS, CONSTANTS + 0x3000)),
];

/// A map of such a machine. It is never given back, as the real one never is.
fn map(levels: u32, has_gib_pages: bool) -> ManuallyDrop<PageTable> {
    let (memory, devices, sections) = (&MEMORY, &DEVICES, &SECTIONS);
    let layout = KernelLayout {
        levels,
        has_gib_pages,
        memory,
        devices,
        sections,
    };
    ManuallyDrop::new(build_table(&layout).expect("memory for the map"))
}

fn at(map: &PageTable, address: u64) -> VmIter<'_> {
    VmIter::new(map, VirtAddr::new(address))
}

/// All mappings: first address, bytes, permissions.
fn mappings(map: &PageTable) -> Vec<(u64, u64, Perm)> {
    let mut found = Vec::new();
    let mut iter = at(map, 0);
    while iter.find_mapping(WINDOW_START) {
        assert_eq!(
            iter.pa().map(|pa| pa.as_u64()),
            Some(iter.va().as_u64()),
            "the map is the identity"
        );
        found.push((
            iter.va().as_u64(),
            iter.last_va().as_u64() - iter.va().as_u64() + 1,
            iter.perm(),
        ));
        iter.next();
    }
    found
}

#[test]
fn memory_is_mapped_with_the_largest_pages_that_fit() {
    let _machine = machine();
    let map = map(4, true);
    for (address, page_bytes) in [
        (0x1000, PAGE_SIZE as u64),
        (MIB, PAGE_SIZE as u64),
        (TEXT, PAGE_SIZE as u64),
        (4 * MIB, 2 * MIB),
        (GIB, GIB),
        (5 * GIB, GIB),
        (6 * GIB + 4 * MIB, 2 * MIB),
    ] {
        let iter = at(&map, address);
        assert_eq!(
            iter.last_va().as_u64() - iter.va().as_u64() + 1,
            page_bytes,
            "{address:#x}"
        );
    }
}

#[test]
fn no_page_of_the_map_could_be_part_of_a_larger_one() {
    let _machine = machine();
    for (has_gib_pages, sizes) in [(true, &[2 * MIB, GIB][..]), (false, &[2 * MIB])] {
        let mappings = mappings(&map(4, has_gib_pages));
        // What lies side by side with equal rights.
        let mut segments: Vec<(u64, u64, Perm)> = Vec::new();
        for (start, bytes, perm) in &mappings {
            let perm = perm.difference(Perm::HUGE);
            match segments.last_mut() {
                Some(last) if last.1 == *start && last.2 == perm => last.1 += bytes,
                _ => segments.push((*start, start + bytes, perm)),
            }
        }
        for (address, bytes, _) in mappings {
            for size in sizes.iter().filter(|size| **size > bytes) {
                let start = address & !(size - 1);
                let fits =
                    |segment: &(u64, u64, Perm)| segment.0 <= start && start + size <= segment.1;
                assert!(
                    !segments.iter().any(fits),
                    "{address:#x} could be in a page of {size:#x} bytes"
                );
            }
        }
    }
}

#[test]
fn without_1_gib_pages_the_map_is_the_same_in_2_mib_pages() {
    let _machine = machine();
    let bytes = |map: &PageTable| mappings(map).iter().map(|mapping| mapping.1).sum::<u64>();
    let (with, without) = (map(4, true), map(4, false));
    assert_eq!(bytes(&with), bytes(&without));
    assert!(mappings(&with).iter().any(|mapping| mapping.1 == GIB));
    assert!(
        mappings(&without)
            .iter()
            .all(|mapping| mapping.1 <= 2 * MIB)
    );
}

#[test]
fn what_can_be_executed_cannot_be_written_and_nothing_is_the_users() {
    let _machine = machine();
    let mut executable_bytes = 0;
    for (address, bytes, perm) in mappings(&map(4, true)) {
        let is_executable = !perm.contains(Perm::NO_EXECUTE);
        assert!(
            !(is_executable && perm.contains(Perm::WRITE)),
            "{address:#x} {perm:?}"
        );
        assert!(!perm.contains(Perm::USER) && perm.contains(Perm::GLOBAL | Perm::BORROWED));
        executable_bytes += if is_executable { bytes } else { 0 };
    }
    assert_eq!(executable_bytes, CONSTANTS - TEXT);
}

#[test]
fn each_section_has_its_rights_and_devices_are_not_cached() {
    let _machine = machine();
    let map = map(4, true);
    let rights = |address: u64| {
        at(&map, address).perm() & (Perm::PRESENT | Perm::WRITE | Perm::NO_EXECUTE | Perm::NO_CACHE)
    };
    assert_eq!(rights(CONSTANTS - 1), Perm::PRESENT);
    assert_eq!(rights(CONSTANTS), Perm::PRESENT | Perm::NO_EXECUTE);
    assert_eq!(
        rights(CONSTANTS + 0x3000),
        Perm::PRESENT | Perm::WRITE | Perm::NO_EXECUTE
    );
    assert_eq!(
        rights(LOCAL_APIC),
        Perm::PRESENT | Perm::WRITE | Perm::NO_EXECUTE | Perm::NO_CACHE
    );
}

#[test]
fn page_zero_and_holes_are_not_mapped() {
    let _machine = machine();
    let map = map(4, true);
    for address in [
        0,
        8,
        0xfff,
        0xa_0000,
        2 * GIB,
        LOCAL_APIC - 1,
        LOCAL_APIC + 0x1000,
        6 * GIB + 6 * MIB,
    ] {
        assert!(!at(&map, address).present(), "{address:#x}");
    }
    assert!(at(&map, 0x1000).present() && at(&map, 0x9_f000).present());
}

#[test]
fn the_map_is_the_same_with_five_levels() {
    let _machine = machine();
    assert_eq!(mappings(&map(5, true)), mappings(&map(4, true)));
}

#[test]
fn a_page_of_the_window_is_seen_in_tables_that_were_made_before() {
    let _machine = machine();
    let space = SpaceId::fresh();
    let (active, table) = (
        ActiveCpus::new(space),
        PageTable::new(space).expect("memory"),
    );
    // Nothing else in this process maps the end of the window.
    let va = VirtAddr::new(WINDOW_START.as_u64() + super::WINDOW_BYTES - PAGE_SIZE as u64);
    let frame = frame::alloc(FrameKind::KernelStack).expect("memory");
    let pa = frame.pa();
    assert!(!super::is_mapped(va));
    super::map_page(va, frame, Perm::WRITE | Perm::NO_EXECUTE).expect("a hole");
    assert!(super::is_mapped(va));
    let iter = VmIter::new(&table, va);
    assert_eq!(iter.pa(), Some(pa));
    assert!(iter.writable() && !iter.user());
    table.retire(&mut FlushBatch::new(&active));
    assert!(super::is_mapped(va));
}

#[test]
fn a_users_table_cannot_change_the_kernels_half() {
    let _machine = machine();
    let space = SpaceId::fresh();
    let (active, mut table) = (
        ActiveCpus::new(space),
        PageTable::new(space).expect("memory"),
    );
    let mut batch = FlushBatch::new(&active);
    assert!(at(&table, MIB).present());
    let mut iter = VmIterMut::new_mut(&mut table, VirtAddr::new(MIB));
    assert!(!iter.present());
    iter.unmap(&mut batch);
    iter.protect(Perm::USER_WRITE, &mut batch);
    assert!(batch.is_empty());
    assert!(at(&table, MIB).present() && !at(&table, MIB).user());
    assert!(!PtIter::new(&table).active());
    table.retire(&mut batch);
}
