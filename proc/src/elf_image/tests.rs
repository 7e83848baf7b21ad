use abi::layout::{PROGRAM_BASE, STACK_BOTTOM, USER_END, USER_START};
use mm::addr::{UserRange, VirtAddr};
use mm::space::Protection;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_oneof, proptest};
use proptest::sample::{Index, select};

use super::{ElfImage, MAX_IMAGE_BYTES, MAX_SEGMENTS, NotAProgram, ProgramFile, Segment};

const BASE: u64 = PROGRAM_BASE as u64;
const PAGE: u64 = 4096;

const EXECUTABLE: u16 = 2;
const POSITION_INDEPENDENT: u16 = 3;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

impl ProgramFile for &[u8] {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let rest = self.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        len
    }
}

#[derive(Copy, Clone)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_len: u64,
    memory_len: u64,
}

impl Header {
    const TEXT: Header = Header {
        kind: LOAD,
        flags: READ | EXECUTE,
        offset: 0,
        address: BASE,
        file_len: 0x1800,
        memory_len: 0x1800,
    };
    const DATA: Header = Header {
        kind: LOAD,
        flags: READ | WRITE,
        offset: 0x1810,
        address: BASE + 0x2810,
        file_len: 0x100,
        memory_len: 0x3000,
    };
}

/// A file of three pages with these headers and this entry point.
fn program(kind: u16, entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [kind, 62] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&1_u32.to_le_bytes());
    for word in [entry, 64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0_u32.to_le_bytes());
    for half in [64, 56, headers.len() as u16, 0, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    for header in headers {
        file.extend_from_slice(&header.kind.to_le_bytes());
        file.extend_from_slice(&header.flags.to_le_bytes());
        for word in [
            header.offset,
            header.address,
            header.address,
            header.file_len,
            header.memory_len,
            PAGE,
        ] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    file.resize(3 * PAGE as usize, 0);
    file
}

fn parse(file: &[u8]) -> Result<ElfImage, NotAProgram> {
    ElfImage::parse(&file)
}

/// Why a program with text, and with data as changed by `change`, is refused.
fn refusal(change: impl FnOnce(&mut Header)) -> NotAProgram {
    let mut data = Header::DATA;
    change(&mut data);
    parse(&program(EXECUTABLE, BASE, &[Header::TEXT, data])).expect_err("a bad program was taken")
}

fn range(start: u64, len: u64) -> UserRange {
    UserRange::page_aligned(start as usize, len as usize).unwrap()
}

#[test]
fn a_linked_program_is_mapped_where_it_says() {
    let image = parse(&program(
        EXECUTABLE,
        BASE + 0x40,
        &[Header::TEXT, Header::DATA],
    ))
    .unwrap();
    assert_eq!(image.entry(), VirtAddr::new(BASE + 0x40));
    let text = Segment {
        range: range(BASE, 0x2000),
        protection: Protection::EXECUTE,
        file_offset: 0,
        file_len: 0x1800,
    };
    let data = Segment {
        range: range(BASE + 0x2000, 0x4000),
        protection: Protection::WRITE,
        file_offset: 0x1000,
        file_len: 0x910,
    };
    assert!(image.segments().eq(&[text, data]));
}

#[test]
fn a_position_independent_program_is_moved_to_the_user_base() {
    let text = Header {
        address: 0x1000,
        offset: 0x1000,
        file_len: 0x800,
        memory_len: 0x800,
        ..Header::TEXT
    };
    let image = parse(&program(POSITION_INDEPENDENT, 0x1234, &[text])).unwrap();
    assert_eq!(image.entry(), VirtAddr::new(BASE + 0x1234));
    assert!(
        image
            .segments()
            .all(|segment| segment.range == range(BASE + 0x1000, 0x1000))
    );
}

#[test]
fn memory_without_file_is_a_segment_too_wherever_the_linker_says_it_is_in_the_file() {
    let zeroes = Header {
        offset: 0xffff_ffff,
        file_len: 0,
        ..Header::DATA
    };
    let image = parse(&program(EXECUTABLE, BASE, &[Header::TEXT, zeroes])).unwrap();
    let segment = image.segments().last().unwrap();
    assert_eq!(
        (segment.range, segment.file_len),
        (range(BASE + 0x2000, 0x4000), 0)
    );
}

#[test]
fn write_and_execute_together_are_kept_and_empty_segments_are_not() {
    let both = Header {
        flags: READ | WRITE | EXECUTE,
        ..Header::DATA
    };
    let empty = Header {
        file_len: 0,
        memory_len: 0,
        address: 1,
        ..Header::DATA
    };
    let image = parse(&program(EXECUTABLE, BASE + 0x2810, &[empty, both])).unwrap();
    let protections: Vec<Protection> = image.segments().map(|segment| segment.protection).collect();
    assert_eq!(protections, [Protection::WRITE | Protection::EXECUTE]);
}

#[test]
fn bad_segments_are_refused_with_their_address() {
    let at = Header::DATA.address;
    assert_eq!(
        refusal(|data| data.file_len = 0x17f1),
        NotAProgram::SegmentTruncated(at)
    );
    assert_eq!(
        refusal(|data| data.offset = u64::MAX - 0xff),
        NotAProgram::SegmentTruncated(at)
    );
    assert_eq!(
        refusal(|data| data.memory_len = 0xff),
        NotAProgram::SegmentSizes(at)
    );
    assert_eq!(
        refusal(|data| data.offset += 1),
        NotAProgram::Misaligned(at)
    );
    assert_eq!(
        refusal(|data| data.memory_len = MAX_IMAGE_BYTES + 1),
        NotAProgram::TooLarge(at)
    );
    assert_eq!(
        refusal(|data| data.memory_len = MAX_IMAGE_BYTES - 0x1000),
        NotAProgram::TooLarge(at)
    );
    assert_eq!(
        refusal(|data| data.memory_len = u64::MAX),
        NotAProgram::TooLarge(at)
    );
    assert_eq!(
        refusal(|data| data.address = BASE + 0x1810),
        NotAProgram::Overlap(BASE + 0x1810)
    );
    for outside in [
        0x40_0810,
        0x810,
        0xffff_7fff_ffff_f810,
        0xffff_ffff_ffff_e810,
        0xffff_ffff_ffff_f810,
    ] {
        assert_eq!(
            refusal(|data| data.address = outside),
            NotAProgram::OutsideUserSpace(outside),
            "{outside:#x}"
        );
    }
}

#[test]
fn the_place_of_the_stack_is_refused_from_its_lowest_page_to_the_one_above_it() {
    let bottom = STACK_BOTTOM as u64;
    // The data has three pages, and 0x810 bytes of the first are before it.
    for inside in [
        bottom - 0x2000 + 0x810,
        bottom + 0x810,
        BASE - 0x1000 + 0x810,
    ] {
        assert_eq!(
            refusal(|data| data.address = inside),
            NotAProgram::OnTheStack(inside),
            "{inside:#x}"
        );
    }
    let below = Header {
        address: bottom - 0x4000 + 0x810,
        ..Header::DATA
    };
    assert!(parse(&program(EXECUTABLE, BASE, &[Header::TEXT, below])).is_ok());
}

#[test]
fn files_for_others_are_refused_with_what_they_are() {
    let good = program(EXECUTABLE, BASE, &[Header::TEXT]);
    let with = |place: usize, byte: u8| {
        let mut file = good.clone();
        file[place] = byte;
        parse(&file).map(|_| ())
    };
    assert!(parse(&good).is_ok());
    assert_eq!(with(0, b'#'), Err(NotAProgram::NotElf));
    assert_eq!(with(4, 1), Err(NotAProgram::WrongFormat));
    assert_eq!(with(5, 2), Err(NotAProgram::WrongFormat));
    assert_eq!(with(6, 2), Err(NotAProgram::WrongFormat));
    assert_eq!(with(16, 1), Err(NotAProgram::WrongType(1)));
    assert_eq!(with(18, 183), Err(NotAProgram::WrongMachine(183)));
    assert_eq!(with(54, 55), Err(NotAProgram::BadSegmentTable));
    assert_eq!(with(57, 1), Err(NotAProgram::BadSegmentTable));
    assert_eq!(with(33, 0x30), Err(NotAProgram::Truncated));
    assert_eq!(with(39, 0xff), Err(NotAProgram::Truncated));
    assert_eq!(parse(b""), Err(NotAProgram::Truncated));
    assert_eq!(parse(b"#!/bin/sh\n"), Err(NotAProgram::Truncated));
    assert_eq!(
        NotAProgram::WrongMachine(183).to_string(),
        "built for machine 183, not for x86-64"
    );
}

#[test]
fn programs_that_need_a_linker_or_relocation_are_refused() {
    let special = |kind, entries: &[(i64, u64)]| {
        let len = entries.len() as u64 * 16;
        let header = Header {
            kind,
            offset: 0x1000,
            file_len: len,
            ..Header::DATA
        };
        let mut file = program(
            POSITION_INDEPENDENT,
            0,
            &[
                Header {
                    address: 0,
                    ..Header::TEXT
                },
                header,
            ],
        );
        for (index, (tag, value)) in entries.iter().enumerate() {
            file[0x1000 + index * 16..][..8].copy_from_slice(&tag.to_le_bytes());
            file[0x1008 + index * 16..][..8].copy_from_slice(&value.to_le_bytes());
        }
        parse(&file).map(|_| ())
    };
    assert_eq!(special(INTERPRETER, &[]), Err(NotAProgram::NeedsLinker));
    assert_eq!(special(DYNAMIC, &[(1, 5)]), Err(NotAProgram::NeedsLinker));
    for size in [2, 8, 18, 35] {
        assert_eq!(
            special(DYNAMIC, &[(5, 1), (size, 24)]),
            Err(NotAProgram::NeedsRelocation),
            "{size}"
        );
        assert_eq!(
            special(DYNAMIC, &[(size, 0), (0, 0), (size, 24)]),
            Ok(()),
            "{size}"
        );
    }
    assert_eq!(special(DYNAMIC, &[]), Ok(()));
}

#[test]
fn a_program_needs_something_to_start_in() {
    assert_eq!(
        parse(&program(EXECUTABLE, BASE, &[])),
        Err(NotAProgram::NothingToLoad)
    );
    for entry in [BASE - 1, BASE + 0x2000, BASE + 0x2810, 0] {
        let refused = parse(&program(EXECUTABLE, entry, &[Header::TEXT, Header::DATA]));
        assert_eq!(refused, Err(NotAProgram::BadEntry(entry)));
    }
}

#[test]
fn only_so_many_segments_fit() {
    let pages = |count| {
        (0..count).map(|page| Header {
            address: BASE + page * PAGE,
            memory_len: PAGE,
            file_len: 0,
            ..Header::TEXT
        })
    };
    let most: Vec<Header> = pages(MAX_SEGMENTS as u64).collect();
    assert_eq!(
        parse(&program(EXECUTABLE, BASE, &most))
            .unwrap()
            .segments()
            .count(),
        MAX_SEGMENTS
    );
    let too_many: Vec<Header> = pages(MAX_SEGMENTS as u64 + 1).collect();
    assert_eq!(
        parse(&program(EXECUTABLE, BASE, &too_many)),
        Err(NotAProgram::TooManySegments)
    );
}

/// Where something begins or ends, and what sums of such words could wrap around.
const EDGES: [u64; 12] = [
    0,
    1,
    PAGE,
    3 * PAGE,
    MAX_IMAGE_BYTES,
    STACK_BOTTOM as u64,
    BASE - PAGE,
    BASE,
    0x20_0000,
    USER_START as u64,
    USER_END as u64,
    u64::MAX - PAGE + 1,
];

proptest! {
    #[test]
    fn whatever_the_bytes_are_a_plan_is_sound(
        damage: Vec<(Index, u8)>,
        words in vec((any::<Index>(), prop_oneof![any::<u64>(), select(&EDGES)]), 0..6),
        len in any::<Index>(),
        is_cut: bool,
    ) {
        let dynamic = Header { kind: DYNAMIC, offset: 0x1000, file_len: 64, ..Header::DATA };
        let mut file = program(EXECUTABLE, BASE, &[Header::TEXT, Header::DATA, dynamic]);
        // What matters is in the headers.
        for (place, byte) in damage {
            file[place.index(64 + 3 * 56)] = byte;
        }
        for (place, word) in words {
            let place = place.index((64 + 3 * 56) / 8) * 8;
            file[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        if is_cut {
            file.truncate(len.index(file.len()));
        }
        if let Ok(image) = parse(&file) {
            let segments: Vec<&Segment> = image.segments().collect();
            for (index, segment) in segments.iter().enumerate() {
                prop_assert!(segment.file_offset.is_multiple_of(PAGE));
                let (start, end) = (segment.range.start().as_u64(), segment.range.end().as_u64());
                prop_assert!(end <= STACK_BOTTOM as u64 || start >= BASE);
                prop_assert!(segment.file_len <= segment.range.len_bytes() as u64);
                prop_assert!(segment.file_len == 0 || segment.file_offset + segment.file_len <= file.len() as u64);
                prop_assert!(segments[..index].iter().all(|other| other.range.intersection(segment.range).is_none()));
            }
            let total: usize = segments.iter().map(|segment| segment.range.len_bytes()).sum();
            prop_assert!(total as u64 <= MAX_IMAGE_BYTES);
            let holds_entry = |segment: &&Segment| segment.range.contains(image.entry());
            prop_assert!(segments.iter().any(|segment| holds_entry(segment) && segment.protection.contains(Protection::EXECUTE)));
        }
    }
}
