//! One argument by chance, by what it stands for: most are at an edge of something.

use abi::layout::PAGE_SIZE;
use programs::random::Random;

use crate::code;
use crate::draw::{Own, REMEMBERED, Value};
use crate::place::{ARENA, ARENA_PAGES, BAD, COMMON, PLACE_LEN, READ_ONLY, STACK_LIKE_END};
use crate::plan::Kind;

const NUMBERS: [usize; 16] = [
    0,
    1,
    2,
    7,
    0x7f,
    0xff,
    0xfff,
    0x1000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    isize::MAX as usize,
    isize::MIN as usize,
    usize::MAX - 1,
    usize::MAX,
];
const IDS: [i32; 8] = [0, 1, 2, -1, -2, i32::MIN, i32::MAX, 1 << 20];
const LENGTHS: [usize; 16] = [
    0,
    1,
    7,
    8,
    511,
    512,
    513,
    PAGE_SIZE - 1,
    PAGE_SIZE,
    PAGE_SIZE + 1,
    2 << 20,
    1 << 30,
    1 << 47,
    isize::MAX as usize,
    usize::MAX - PAGE_SIZE + 1,
    usize::MAX,
];
/// Nothing between what is small and what cannot be.
const PAGE_COUNTS: [usize; 8] = [
    0,
    64,
    512,
    1 << 36,
    1 << 51,
    1 << 52,
    (1 << 52) + 1,
    usize::MAX,
];

/// An argument of this kind.
#[inline]
pub(crate) fn draw(kind: Kind, random: &mut Random) -> Value {
    Value::Number(match kind {
        Kind::Nothing => return Value::Number(random.word() as usize),
        Kind::Pointer => match random.below(16) {
            0 => return Value::Own(Own::Mapping(random.below(REMEMBERED) as u8)),
            _ => pointer(random),
        },
        Kind::Text => match random.below(4) {
            0 => pointer(random),
            _ => code::text(random.below(code::TEXTS as u64) as usize),
        },
        Kind::Registers => match random.below(4) {
            0 => pointer(random),
            _ => code::registers(random),
        },
        Kind::Address => match random.below(16) {
            0 => return Value::Own(Own::Mapping(random.below(REMEMBERED) as u8)),
            _ => address(random),
        },
        Kind::Function => match random.below(16) {
            0 => wild_code(random),
            _ => code::function(random),
        },
        Kind::Handler => match random.below(16) {
            0 => 0,
            1 => wild_code(random),
            _ => code::handle as *const () as usize,
        },
        Kind::Descriptor => match random.below(8) {
            0 => one_of(&NUMBERS, random),
            1 => 1020 + random.below(8) as usize,
            _ => random.below(16) as usize,
        },
        Kind::Id => return id(random),
        Kind::LenBytes => len_bytes(random),
        Kind::LenPages => match random.below(4) {
            0 => one_of(&PAGE_COUNTS, random),
            _ => random.below(9) as usize,
        },
        Kind::DurationMs => match random.below(8) {
            0 => one_of(&NUMBERS, random),
            _ => random.below(2) as usize,
        },
        Kind::Signal => match random.below(8) {
            0 => one_of(&NUMBERS, random),
            _ => random.below(33) as usize,
        },
        Kind::Small => match random.below(8) {
            0 => one_of(&NUMBERS, random),
            1 => random.word() as usize,
            _ => random.below(8) as usize,
        },
        Kind::Number => match random.below(4) {
            0 => random.word() as usize,
            1 => random.below(64) as usize,
            _ => one_of(&NUMBERS, random),
        },
    })
}

#[inline]
fn one_of(numbers: &[usize], random: &mut Random) -> usize {
    numbers[random.below(numbers.len() as u64) as usize]
}

/// Where bytes are.
fn pointer(random: &mut Random) -> usize {
    let offset = random.word() as usize;
    match random.below(16) {
        0..=5 => one_of(&BAD, random),
        6..=8 => ARENA + offset % (ARENA_PAGES * PAGE_SIZE),
        // The last bytes of a page.
        9..=10 => ARENA + offset % ARENA_PAGES * PAGE_SIZE + PAGE_SIZE - 1 - (offset >> 32) % 16,
        11 => READ_ONLY + offset % PLACE_LEN,
        12 => STACK_LIKE_END - 1 - offset % (2 * PLACE_LEN),
        13 => COMMON + offset % PLACE_LEN,
        14 => code::somewhere(offset),
        _ => odd(offset, random),
    }
}

/// A place in the address space.
fn address(random: &mut Random) -> usize {
    let offset = random.word() as usize;
    match random.below(16) {
        0 => one_of(&BAD, random),
        1 => pointer(random),
        2 => odd(offset, random) & !(PAGE_SIZE - 1),
        3 => READ_ONLY + offset % PLACE_LEN / PAGE_SIZE * PAGE_SIZE,
        4 => COMMON + offset % PLACE_LEN / PAGE_SIZE * PAGE_SIZE,
        5 => STACK_LIKE_END - PAGE_SIZE - offset % PLACE_LEN / PAGE_SIZE * PAGE_SIZE,
        6 => code::somewhere(offset) & !(PAGE_SIZE - 1),
        _ => ARENA + offset % ARENA_PAGES * PAGE_SIZE,
    }
}

/// A place that need not be code. It is not within the program: a thread that began in the middle of that could do what
/// no call may, such as end the checker.
fn wild_code(random: &mut Random) -> usize {
    match address(random) {
        inside if code::is_in_program(inside) => ARENA,
        outside => outside,
    }
}

/// Any number, with as many bits as any other.
fn odd(bits: usize, random: &mut Random) -> usize {
    bits >> random.below(64)
}

fn len_bytes(random: &mut Random) -> usize {
    match random.below(8) {
        0 => one_of(&LENGTHS, random),
        1 => one_of(&LENGTHS, random)
            .wrapping_add(random.below(3) as usize)
            .wrapping_sub(1),
        2 => random.below(16 * PAGE_SIZE as u64) as usize,
        3 | 4 => random.below(64) as usize,
        _ => (1 + random.below(8) as usize) * PAGE_SIZE,
    }
}

fn id(random: &mut Random) -> Value {
    let chosen = random.below(REMEMBERED) as u8;
    match random.below(16) {
        0..=2 => Value::Number(IDS[random.below(IDS.len() as u64) as usize] as usize),
        3 => Value::Number(random.word() as usize & 0xffff_ffff_0000_0000),
        4 => Value::Own(Own::Process),
        5 => Value::Own(Own::Thread),
        6 => Value::Own(Own::Parent),
        7 => Value::Own(Own::Neighbour(random.below(9) as i8 - 4)),
        8..=11 => Value::Own(Own::Child(chosen)),
        _ => Value::Own(Own::Fellow(chosen)),
    }
}
