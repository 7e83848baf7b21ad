//! What a call is given: numbers by chance, most of them at an edge of something.
//!
//! The guarantee: what is drawn depends on the random numbers alone, whatever has happened before and elsewhere. What
//! can only be known while it runs, such as the id of a child, is drawn as a name ([`Value::Own`]) and looked up at the
//! call.

use core::fmt::{self, Display};

use abi::layout::PAGE_SIZE;
use abi::{MapFlags, OpenFlags, SCREEN_COLUMNS, Sysno};
use programs::random::Random;

use crate::place::{ARENA, ARENA_PAGES, SCRATCH_FILES};
use crate::plan::Plan;
use crate::{code, values};

/// One argument.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Value {
    Number(usize),
    Own(Own),
}

/// An id of the caller or somebody near, or a place that is its own.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Own {
    Process,
    Thread,
    Parent,
    /// One of the latest children of this process.
    Child(u8),
    /// One of the latest threads of this process.
    Fellow(u8),
    /// The id next to that of this process, or next but some.
    Neighbour(i8),
    /// An address that the kernel has chosen for one of the latest mappings of this process.
    Mapping(u8),
}

/// So many children, threads, and mappings a process remembers.
pub(crate) const REMEMBERED: u64 = 8;

/// A call and its arguments.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Draw {
    pub(crate) call: Sysno,
    pub(crate) arguments: [Value; 6],
    /// Where the sequence of the new process begins, if this makes one.
    pub(crate) child_seed: u64,
}

/// Whose sequence it is.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Drawer {
    /// Whether it has the console, and so must not write much.
    pub(crate) has_console: bool,
}

/// The longest write to the console.
const CONSOLE_LEN_MAX: usize = 32;
/// The longest mapping that is filled at once: more could take the memory that others need to live.
const EAGER_LEN_MAX: usize = 512 * PAGE_SIZE;

/// Of all pages these are offered most, so that some offers are found.
const OFFERED_PAGES: u64 = 2;

impl Drawer {
    /// The next call and its arguments.
    #[inline]
    pub(crate) fn draw(self, plan: &Plan, random: &mut Random) -> Draw {
        let call = plan.pick(random);
        let kinds = plan.kinds(call);
        let mut arguments = core::array::from_fn(|index| values::draw(kinds[index], random));
        self.restrain(call, &mut arguments, random);
        Draw {
            call,
            arguments,
            child_seed: random.word(),
        }
    }

    /// Makes some calls likelier to get somewhere, and keeps those within bounds that would end the run: by filling
    /// memory or the console, or by making files that nobody can remove.
    fn restrain(self, call: Sysno, arguments: &mut [Value; 6], random: &mut Random) {
        let is_usual = random.below(4) != 0;
        match (call, arguments) {
            (Sysno::Map, arguments) => draw_map(is_usual, arguments, random),
            (Sysno::Protect, [address, _, protection, ..]) => {
                spare_the_program(address);
                if is_usual {
                    *protection = Value::Number(random.below(16) as usize);
                }
            }
            (Sysno::PageAlloc | Sysno::PageAllocRange | Sysno::PageFree, [address, ..]) => {
                spare_the_program(address);
            }
            // Now and then a program takes itself away.
            (Sysno::Unmap, [address, ..]) if random.below(32) != 0 => spare_the_program(address),
            (Sysno::Open, [path, flags, ..]) => draw_open(path, flags, random),
            (Sysno::Share, [pid, address, ..]) if is_usual => {
                *pid = Value::Own(Own::Child(random.below(REMEMBERED) as u8));
                *address = Value::Number(ARENA + random.below(OFFERED_PAGES) as usize * PAGE_SIZE);
            }
            (Sysno::Attach, [pid, remote, local, ..]) if is_usual => {
                *pid = Value::Own(Own::Parent);
                *remote = Value::Number(ARENA + random.below(OFFERED_PAGES) as usize * PAGE_SIZE);
                *local =
                    Value::Number(ARENA + (ARENA_PAGES + random.below(8) as usize) * PAGE_SIZE);
            }
            (Sysno::SetTlsBase, [address, ..]) if is_usual => *address = Value::Number(ARENA),
            (Sysno::CreateThread, [function, _, stack, ..]) if is_usual => {
                *function = Value::Number(code::function(random));
                *stack = Value::Number(ARENA + 4 * PAGE_SIZE);
            }
            (Sysno::Write, [_, _, Value::Number(len), ..]) if self.has_console => {
                *len = (*len).min(CONSOLE_LEN_MAX);
            }
            (Sysno::ConsolePut, [row, column, attribute, _, len, ..]) if is_usual => {
                *row = Value::Number(random.below(26) as usize);
                *column = Value::Number(random.below(82) as usize);
                *attribute = Value::Number(random.below(130) as usize);
                *len = Value::Number(random.below(SCREEN_COLUMNS as u64 + 2) as usize);
            }
            _ => {}
        }
    }
}

fn draw_map(is_usual: bool, arguments: &mut [Value; 6], random: &mut Random) {
    let [address, len, protection, flags, fd, offset] = arguments;
    if is_usual {
        *protection = Value::Number(random.below(16) as usize);
        let mut wanted = MapFlags::empty();
        wanted.set(MapFlags::SHARED, random.below(4) == 0);
        for flag in [MapFlags::GROW_DOWN, MapFlags::GROW_UP, MapFlags::EAGER] {
            wanted.set(flag, random.below(8) == 0);
        }
        if random.below(3) != 0 {
            wanted.set(MapFlags::ANONYMOUS, true);
            (*fd, *offset) = (Value::Number(usize::MAX), Value::Number(0));
        }
        *flags = Value::Number(wanted.bits() as usize);
        if random.below(4) == 0 {
            *address = Value::Number(0);
        }
    }
    if let (Value::Number(flags), Value::Number(len)) = (flags, len)
        && *flags & MapFlags::EAGER.bits() as usize != 0
    {
        *len = (*len).min(EAGER_LEN_MAX);
    }
}

/// Only files that are there already are made, so that none is left.
fn draw_open(path: &mut Value, flags: &mut Value, random: &mut Random) {
    let known = OpenFlags::READ_WRITE.bits()
        | OpenFlags::CREATE.bits()
        | OpenFlags::EXCLUSIVE.bits()
        | OpenFlags::TRUNCATE.bits()
        | OpenFlags::APPEND.bits();
    let mut bits = random.word() as u32;
    if random.below(8) != 0 {
        bits &= known;
    }
    if random.below(2) == 0 {
        *path = Value::Number(code::text(random.below(SCRATCH_FILES.len() as u64) as usize));
    } else {
        // Whatever it is, it stays as it is.
        bits &= !(known | OpenFlags::WRITE.bits());
    }
    *flags = Value::Number(bits as usize);
}

fn spare_the_program(address: &mut Value) {
    if let Value::Number(number) = address
        && code::is_in_program(*number)
    {
        *number = ARENA;
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number:#x}"),
            Value::Own(own) => write!(f, "{own:?}"),
        }
    }
}

impl Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call.name())?;
        let count = abi::TABLE[self.call.number()].arguments.len();
        for (index, value) in self.arguments.iter().take(count).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{value}")?;
        }
        f.write_str(")")
    }
}
